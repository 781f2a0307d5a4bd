# Go: one program, which has to listen on the port in PORT (3000).
ARG BASE_IMAGE=@GO_IMAGE@
ARG STATIC_IMAGE=@STATIC_IMAGE@
FROM ${BASE_IMAGE} AS build
WORKDIR /src

# The platform's module proxy, where there is one.
ARG GOPROXY
COPY @MANIFESTS@ ./
RUN @DOWNLOAD@
COPY . .
RUN CGO_ENABLED=0 go build -o /app . && mkdir -p /etc/ssl/certs

FROM ${STATIC_IMAGE}
COPY --from=build /etc/ssl/certs /etc/ssl/certs
COPY --from=build /app /app
ENV PORT=3000
EXPOSE 3000
CMD ["/app"]
