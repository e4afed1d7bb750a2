# The command `zoo` in a container, for processors (target cpu) and for NVIDIA GPUs (target gpu):
#   docker build --target cpu --tag zoo .
#   docker run --rm --user "$(id -u)" --volume "$PWD:/data" zoo segment deeplabv3_aspp street.jpg --output out/
# Both stand on one base, named by the digest of its index of platforms; CUDA and cuDNN come as the wheels that
# TensorFlow asks for, and the host needs its driver and the NVIDIA container toolkit alone.
ARG BASE=python:3.12.14-slim-bookworm@sha256:782412e85d0f0984994c290652577d4018aff08145c85b262bb63dc0c7522254

FROM ${BASE} AS wheel
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${BASE} AS cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && useradd --uid 1000 zoo
# Whoever runs it may have no home there: what is kept goes where everyone may write.
ENV ZOO_CACHE=/tmp/zoo MPLCONFIGDIR=/tmp/matplotlib
USER 1000
WORKDIR /data
ENTRYPOINT ["zoo"]
CMD ["--help"]

FROM cpu AS gpu
USER 0
RUN pip install --no-cache-dir "tensorflow[and-cuda]>=2.21,<2.22"
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000
