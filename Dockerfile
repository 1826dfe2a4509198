# The image holds one static binary: no shell, no package manager, no root.
# It writes to /data only, so that it runs with --read-only. deploy/image/test does these steps without Docker.
FROM golang:1.26 AS build
# The newest time zones and root certificates: they change more often than the base image.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath \
      -ldflags "-s -w -X github.com/prometheus/common/version.Version=${VERSION}" \
      -o /out/smspager ./cmd/smspager \
 && mkdir -p /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /out/smspager /smspager
# 65532 is the user "nonroot" of common base images. The outbox is in /data.
COPY --from=build --chown=65532:65532 /out/data /data
ENV TMPDIR=/data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 9879 9881
# Under --web.config.file with TLS, set SMSPAGER_URL=https://127.0.0.1:9879 and SMSPAGER_HTTP_CONFIG_FILE,
# see docs/deployment.md. Basic auth changes nothing: /-/ready needs no login.
HEALTHCHECK --interval=15s --timeout=5s --start-period=5s CMD ["/smspager", "health"]
ENTRYPOINT ["/smspager"]
CMD ["serve", "--config.file=/etc/smspager/smspager.yml"]
