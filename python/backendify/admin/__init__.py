"""The operators' listener: Prometheus metrics, statistics as JSON, health, and a live page."""

from backendify.admin.listener import Admin
from backendify.admin.stats import CacheStats, RegistryStats, Stats

__all__ = ["Admin", "CacheStats", "RegistryStats", "Stats"]
