# One file, four images whose layers are shared; only what is built with PACKAGES=learning holds TensorFlow.
#   core          init, ingest, detector, db_writer, reporter
#   forecasting   forecaster (LiteRT)
#   learning      trainer (TensorFlow)
#   dashboard     dashboard (Starlette), with the npm packages for the browser
#   notifier      notifier (apprise)
ARG PACKAGES=core

FROM python:3.11-slim-bookworm AS core
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    --mount=type=bind,source=requirements,target=/requirements \
    python -m pip install --require-hashes -r /requirements/core.txt

FROM core AS forecasting
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    --mount=type=bind,source=requirements,target=/requirements \
    python -m pip install --require-hashes -r /requirements/forecasting.txt

FROM forecasting AS learning
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    --mount=type=bind,source=requirements,target=/requirements \
    python -m pip install --require-hashes -r /requirements/learning.txt

FROM core AS assets
WORKDIR /app
COPY requirements/assets.txt requirements/
COPY cli/__init__.py cli/bootstrap.py cli/assets.py cli/
COPY services/dashboard/package.json services/dashboard/package-lock.json services/dashboard/.npmrc services/dashboard/
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked python -m cli.assets

FROM core AS dashboard
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    --mount=type=bind,source=requirements,target=/requirements \
    python -m pip install --require-hashes -r /requirements/dashboard.txt
COPY --from=assets /app/services/dashboard/assets /app/services/dashboard/assets

FROM core AS notifier
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    --mount=type=bind,source=requirements,target=/requirements \
    python -m pip install --require-hashes -r /requirements/notifier.txt

FROM ${PACKAGES}
WORKDIR /app
COPY shared shared
COPY services services
COPY cli cli
RUN python -m compileall -q shared services cli
USER 1000:1000
