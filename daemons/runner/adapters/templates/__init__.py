"""Dockerfiles for repositories that bring none, each with its `.dockerignore`; `@NAME@` is filled in."""
