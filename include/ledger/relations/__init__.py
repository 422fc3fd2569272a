"""All relations of the ledger by name, in the order of the catalog."""

from include.ledger.fields import Relation
from include.ledger.relations import content, members, movements, orders, programs, rewards

RELATIONS: dict[str, Relation] = {
    relation.name: relation
    for module in (programs, members, movements, rewards, orders, content)
    for relation in module.RELATIONS
}
