"""What stands above the table of an app's page: how it stands, where it is reached, what becomes of pushes, and how its
deletion goes. `funai apps show` says it in the same words. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from console.live import topics
from console.live.cells import Cell, Tone, cell, seconds_between, size, span
from console.live.model import Scene
from console.live.plain import line
from console.live.views import jobs
from console.live.views.apps import AppRow, row_of, state_cell, why
from console.live.views.jobs import short, status_cell
from console.live.views.panels import Lines, dotted, plain, titled
from console.live.views.tenants import memory, processes
from console.live.words import t, tn
from protocol.api import AppDeletionView, AppDomainView, AppInfo, AppPart, RepoStatus
from protocol.app_details import AppDetail
from protocol.jobs import JobView
from protocol.operations import OperationView
from protocol.pushes import PushToDeployView, PushView
from protocol.running import AppStats

_HISTORY: Final = 5
_COMMIT_DIGITS: Final = 8


def app(scene: Scene, app_id: str) -> Lines:
    """One app: how it stands, what it uses, how its last jobs went, and how to look into it."""
    found = row_of(scene.model, app_id)
    detail: AppDetail | None = scene.model.beside.of(topics.app_detail(app_id)).get(app_id)
    used: AppStats | None = scene.model.beside.of(topics.app_stats(app_id)).get(app_id)
    return (
        _lead(found, app_id),
        *_standing(found, scene.now),
        *((titled("Uses", *dotted(_use(used))),) if used is not None else ()),
        *_addresses(found, detail),
        *_sources(detail, scene.now),
        titled("Jobs", *_history(scene, app_id)),
        *plain(line(_pending(each)) for each in (found.operations if found is not None else ())),
        titled("Look", Cell(line(f"funai app-logs {app_id} -f · funai app-stats {app_id} · funai app-shell {app_id}"))),
    )


def _lead(found: AppRow | None, app_id: str) -> tuple[Cell, ...]:
    named = Cell(t("app {app}", app=line(app_id)), Tone.STRONG)
    if found is None:
        return (named,)
    where = t("on {node}", node=found.node_name or t("no node"))
    user = t("user {user}", user=found.user_id or t("unknown"))
    called = (cell(found.app_name),) if found.app_name else ()
    return dotted((state_cell(found), named, *called, cell(user), cell(where)))


def _standing(found: AppRow | None, now: datetime) -> Lines:
    if found is None:
        return ()
    if found.deletion is not None:
        parts = titled("Deletion", *dotted(deleted_parts(found.deletion)))
        return (parts, (deletion_progress(found.deletion, now),))
    return ((cell(why(found), Tone.WARN),),) if why(found) else ()


def deleted_parts(deletion: AppDeletionView) -> tuple[Cell, ...]:
    """Each part of an app that is deleted: whether it is gone."""
    return tuple(
        Cell(f"… {part.value}", Tone.WARN) if part in deletion.left else Cell(f"✓ {part.value}", Tone.GOOD)
        for part in AppPart
    )


def deletion_progress(deletion: AppDeletionView, now: datetime) -> Cell:
    """How far it is, and what is in its way."""
    asked = t("ordered {age} ago", age=span(seconds_between(now, deletion.asked_at)))
    if deletion.complete:
        return Cell(f"{t('was deleted; nothing is left of it')} · {asked}", Tone.QUIET)
    tried = tn("tried {count} time", "tried {count} times", deletion.attempts) if deletion.attempts else ""
    return cell(" · ".join(filter(None, (deletion.problem, tried, asked))), Tone.WARN)


def _addresses(found: AppRow | None, detail: AppDetail | None) -> Lines:
    """Where people find it: its path, its slug, and hosts of its own."""
    slug = detail.app.app_slug if detail is not None and detail.app is not None else None
    places = [cell(each) for each in (found.url if found is not None else None, slug and f"/{slug}") if each]
    hosts = detail.domains if detail is not None else ()
    proven = [host_cell(each) for each in hosts if each.verified]
    lines = [titled("Address", *dotted((*places, *proven)))] if places or proven else []
    return (*lines, *(titled("Host", host_cell(each)) for each in hosts if not each.verified))


def host_cell(host: AppDomainView) -> Cell:
    """A host of an app's own; of one that was not proven the record that is waited for, whose name ends with it."""
    if host.verified:
        return cell(f"✓ {host.host}", Tone.GOOD)
    record = f'{host.record_name} TXT "{host.record_value}"'
    return cell(f"… {t('waits for {record}', record=record)}", Tone.WARN)


def _sources(detail: AppDetail | None, now: datetime) -> Lines:
    """Where it is built from, and what a push does."""
    if detail is None:
        return ()
    built = (titled("Repository", repository_cell(detail.app)),) if detail.app is not None else ()
    rule = detail.push_to_deploy
    return (*built, *((titled("Pushes", *dotted(push_cells(rule, now))),) if rule is not None else ()))


def repository_cell(info: AppInfo) -> Cell:
    """Whether it is set up, and where it is."""
    match info.repo_status:
        case RepoStatus.READY:
            return cell(f"✓ {info.repo_ssh_url}")
        case RepoStatus.PENDING:
            return cell(f"… {t('it is being set up')}: {info.repo_ssh_url}", Tone.WARN)
        case RepoStatus.FAILED:
            return cell(f"✗ {info.repo_reason or '?'}; {t('it is tried again')}: {info.repo_ssh_url}", Tone.BAD)


def push_cells(rule: PushToDeployView, now: datetime) -> tuple[Cell, ...]:
    """Whether pushes are deployed, of which branches, and what became of the newest."""
    if not rule.enabled:
        state = Cell(t("are not deployed"), Tone.QUIET)
    else:
        state = cell(t("are deployed: {branches}", branches=", ".join(rule.branches)))
    return (state, _push(rule.last_push, now)) if rule.last_push is not None else (state,)


def _push(push: PushView, now: datetime) -> Cell:
    commit, age = push.commit[:_COMMIT_DIGITS], span(seconds_between(now, push.received_at))
    came = t("{commit} on {branch} came {age} ago", commit=commit, branch=push.branch, age=age)
    if push.job_id is not None:
        return cell(f"{came}: {t('job {job}', job=short(push.job_id))}")
    if push.next_attempt_at is not None:
        return cell(f"{came}: {t('it waits')}{f', {push.reason}' if push.reason else ''}", Tone.WARN)
    if push.reason is None:
        return cell(came)
    return cell(f"{came}: {t('it is not deployed: {why}', why=push.reason)}", Tone.BAD)


def _pending(each: OperationView) -> str:
    why_not = each.message or each.state.value
    return t("{kind} waits on node {node}: {why}", kind=each.kind.value, node=each.node_id, why=why_not)


def _use(used: AppStats) -> tuple[Cell, ...]:
    cpu = "–" if used.cpu_pct is None else f"{used.cpu_pct:.0f}%"
    return (
        Cell(f"CPU {cpu}"),
        Cell(memory(used)),
        Cell(t("wrote {size}", size=size(used.disk_bytes))),
        Cell(processes(used)),
        Cell(t("running") if used.running else t("not running"), Tone.GOOD if used.running else Tone.WARN),
    )


def _history(scene: Scene, app_id: str) -> tuple[Cell, ...]:
    found: Iterable[JobView] = scene.model.beside.of(topics.app_jobs(app_id)).values()
    newest = sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)[:_HISTORY]
    newest = [scene.model.jobs.get(each.id, each) for each in newest]
    parts = [
        Cell(
            f"{status_cell(each.status).text[0]} {short(each.id)} {span(jobs.spent(each, scene.now))}",
            status_cell(each.status).tone,
        )
        for each in newest
    ]
    return dotted(parts or (Cell(t("none known"), Tone.QUIET),))
