# A page that Node builds and that is then served as static files on port 3000.
ARG BASE_IMAGE=@NODE_IMAGE@
ARG STATIC_IMAGE=@STATIC_IMAGE@
FROM ${BASE_IMAGE} AS build
WORKDIR /app

# The platform's registry, unless the repository has an .npmrc of its own.
ARG NPM_REGISTRY
COPY @MANIFESTS@ ./
RUN if [ ! -f .npmrc ] && [ -n "$NPM_REGISTRY" ]; then echo "registry=$NPM_REGISTRY" > .npmrc; fi

# Dependencies first: they are installed again only when one of the files above changes.
RUN @TOOL@
RUN @INSTALL@

# A build that fails fails the image.
COPY . .
RUN @BUILD@

FROM ${STATIC_IMAGE}
COPY --from=build /app/@OUTPUT@ /www/
EXPOSE 3000
CMD ["httpd", "-f", "-p", "3000", "-h", "/www"]
