"""What the services need from the outside."""

from daemons.deploy.ports.catalogue import AppFilter, CatalogueRows
from daemons.deploy.ports.claims import ClaimRows
from daemons.deploy.ports.drains import DrainRows, ResidentRows
from daemons.deploy.ports.fleet import AppRunRows, NodeRows, PlacementRows, RunnerRows
from daemons.deploy.ports.history import EventRows, LogRows, ReleaseRows, ReviewRows
from daemons.deploy.ports.listing import JobListRows
from daemons.deploy.ports.operations import OperationFilter, OperationRows
from daemons.deploy.ports.outside import Agent, AgentFailed, ImageRegistry, RegistryFailed
from daemons.deploy.ports.replicas import SingletonRows
from daemons.deploy.ports.running import AgentRefused, RunningApps
from daemons.deploy.ports.store import OutcomeUnknown, Store, StoreUnavailable, Transaction
from daemons.deploy.ports.tombstones import TombstoneRows
from daemons.deploy.ports.waiting import WaitingRows
from daemons.deploy.ports.webhooks import DeliveryFilter, Receiver, WebhookRows
from daemons.deploy.ports.work import IdempotencyRows, JobRows

__all__ = [
    "Agent",
    "AgentFailed",
    "AgentRefused",
    "AppFilter",
    "AppRunRows",
    "CatalogueRows",
    "ClaimRows",
    "DeliveryFilter",
    "DrainRows",
    "EventRows",
    "IdempotencyRows",
    "ImageRegistry",
    "JobListRows",
    "JobRows",
    "LogRows",
    "NodeRows",
    "OperationFilter",
    "OperationRows",
    "OutcomeUnknown",
    "PlacementRows",
    "Receiver",
    "RegistryFailed",
    "ReleaseRows",
    "ResidentRows",
    "ReviewRows",
    "RunnerRows",
    "RunningApps",
    "SingletonRows",
    "Store",
    "StoreUnavailable",
    "TombstoneRows",
    "Transaction",
    "WaitingRows",
    "WebhookRows",
]
