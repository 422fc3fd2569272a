# Airflow with this product in it: the services of docker-compose.yaml, and any cluster, run this image.
FROM apache/airflow:3.3.2-python3.12

ENV PYTHONPATH=/opt/loyalty \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/loyalty/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/loyalty/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST='[{"name": "dags-folder", "classpath": "include.orchestration.dag_folder.DagFolder", "kwargs": {}}]' \
    AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL=120 \
    AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL=10 \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False \
    ARROW_DEFAULT_MEMORY_POOL=system \
    MALLOC_ARENA_MAX=2 \
    LOYALTY_SCRATCH=/tmp/loyalty

USER root
RUN install -d -o airflow -g 0 /opt/loyalty /opt/airflow/login /opt/airflow/loyalty
USER airflow

# The dependencies change seldom and the code often: two layers, and the same pinned list as everywhere.
COPY --chown=airflow:0 requirements.txt /opt/loyalty/
RUN pip install --no-cache-dir --require-hashes -r /opt/loyalty/requirements.txt

COPY --chown=airflow:0 . /opt/loyalty
WORKDIR /opt/loyalty
RUN pip install --no-cache-dir --no-deps --no-build-isolation --no-index -e . \
    && python -m include.orchestration.warm
