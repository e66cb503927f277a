# The trainer on an NVIDIA GPU: TensorFlow 2.15 with CUDA 12.2 from wheels that are pinned by hash; of the host it needs the
# driver (525 or later) and NVIDIA's container toolkit. 6 GB.
#
#   docker build -f deploy/trainer-gpu.Dockerfile -t undertone-trainer-gpu .
#   docker run --gpus all --read-only --tmpfs /tmp -v undertone-shards:/var/lib/undertone \
#     -e KAFKA_BROKERS=broker:9092 -e S3_ENDPOINT=http://store:8333 -e AWS_ACCESS_KEY_ID=… -e AWS_SECRET_ACCESS_KEY=… \
#     -p 7403:7403 undertone-trainer-gpu
#
# For a GPU that CUDA 12.2 does not know, TF_BACKEND=webgpu with the package `webgpu` (WEBGPU_DIR) is the other way.
ARG BASE_IMAGE=node:22-bookworm-slim

FROM ${BASE_IMAGE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates g++ python3 python3-pip \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/undertone
COPY . .
# With a broker and a store named, the set-up leaves out the embedded ones.
RUN KAFKA_BROKERS=elsewhere S3_ENDPOINT=http://elsewhere UNDERTONE_CACHE=/opt/undertone-cache ./undertone setup --gpu

FROM ${BASE_IMAGE}
COPY --from=build /opt /opt
RUN useradd --system --uid 10001 undertone && install -d -o undertone /var/lib/undertone
USER undertone
WORKDIR /opt/undertone
ENV SHARD_CACHE=/var/lib/undertone/shards TF_BACKEND=node-gpu TF_FORCE_GPU_ALLOW_GROWTH=true
VOLUME /var/lib/undertone
EXPOSE 7403
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s CMD ["node_modules/node/bin/node", "-e", "fetch('http://127.0.0.1:7403/health/live').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node_modules/node/bin/node", "dist/apps/trainer/src/main.js"]
