# docker build -t munit-pl .
# The base has Python 3.10 or newer and pip. With one that has PyTorch, such as
# pytorch/pytorch:...-runtime, that PyTorch is used.
ARG BASE=python:3.12-slim
FROM ${BASE}

ARG EXTRAS=evaluate,video,web,hub,datasets,tensorboard
# Where else pip looks, such as PyTorch's index of wheels without CUDA.
ARG PIP_EXTRA_INDEX_URL
ENV PIP_BREAK_SYSTEM_PACKAGES=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1

# What the package needs is a layer of its own, which changes of the code leave as it is.
WORKDIR /opt/munit-pl
COPY pyproject.toml README.md LICENSE ./
RUN mkdir -p src/munit_pl conf && python -m pip install ".[${EXTRAS}]"
COPY src src
COPY conf conf
RUN python -m pip install --no-deps --force-reinstall . && rm -r build

# Data and outputs. Any user may run it: docker run --user "$(id -u):$(id -g)" writes files of yours.
ENV HOME=/home/munit USER=munit
RUN mkdir -p /data "${HOME}" && chown 1000:1000 /data "${HOME}" && chmod 1777 "${HOME}"
WORKDIR /data
USER 1000:1000
CMD ["munit-train"]
