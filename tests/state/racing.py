"""Runs one function in many real processes at once. A helper, not a test."""

import multiprocessing
import traceback


def race(function, arguments, *, seconds=120):
    """Fork one process per tuple of arguments, let them go together, return their results in order.

    Forked, since importing a module twenty times over would take longer than any race.
    """
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(arguments))
    pipes, processes = [], []
    for values in arguments:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(function, values, barrier, sender), daemon=True)
        process.start()
        sender.close()
        pipes.append(receiver)
        processes.append(process)
    results = []
    for receiver, process in zip(pipes, processes, strict=True):
        assert receiver.poll(seconds), "a process gave no answer"
        kind, value = receiver.recv()
        assert kind == "ok", value
        results.append(value)
        process.join(seconds)
    return results


def _run(function, values, barrier, sender):
    try:
        barrier.wait(60)
        sender.send(("ok", function(*values)))
    except BaseException:  # noqa: BLE001 - reported by the parent
        sender.send(("error", traceback.format_exc()))
