# Static files, served on port 3000.
ARG BASE_IMAGE=@STATIC_IMAGE@
FROM ${BASE_IMAGE}
COPY @FOLDER@ /www/
EXPOSE 3000
CMD ["httpd", "-f", "-p", "3000", "-h", "/www"]
