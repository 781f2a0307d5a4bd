"""`python -m daemons.runner`; with `init FOLDER` it writes a template's Dockerfile there instead."""

import sys
from pathlib import Path

from daemons.kit.daemon import settings_or_exit
from daemons.runner.app import run, write_template
from daemons.runner.settings import RunnerSettings, TemplateSettings

if __name__ == "__main__":
    if sys.argv[1:2] == ["init"]:
        write_template(Path(*sys.argv[2:3]), settings_or_exit(TemplateSettings))
    else:
        run(settings_or_exit(RunnerSettings))
