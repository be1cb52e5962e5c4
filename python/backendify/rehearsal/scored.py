"""A rehearsal's score in words."""

from typing import Any, Final

_PERCENTILES: Final = ("p50", "p90", "p99", "p99.9", "max")
_WHEN: Final = (("failed tries", "failures"), ("from 3 s into it", "failures_settled"))


def verdict(report: dict[str, Any], sla_percent: float) -> str:
    """Say in one line what was missed; empty when all is well."""
    if not report["valid"]:
        return f"the score is invalid: {report['late']} requests were sent late, as this machine fell behind"
    if report["wrong"]:
        return f"{report['wrong']} wrong answers, such as {report['wrong_examples'][0]}"
    if report["right_percent"] < sla_percent:
        ideal = f"an ideal cache: {report['bound_percent']} %"
        return f"SLA missed: {report['right_percent']} % right in time, expected {sla_percent:g} % ({ideal})"
    return ""


def told(report: dict[str, Any]) -> str:
    """Tell the score."""
    requests = report["requests"]
    statuses = "  ".join(f"{status}: {count}" for status, count in report["statuses"].items())
    latencies = "  ".join(f"{name} {report['latency_ms'][name]:g} ms" for name in _PERCENTILES)
    kept_out = f"; {report['kept_out']} never sent" if report["kept_out"] else ""
    late = f"{report['late']} (the latest by {report['late_ms_peak']:g} ms{kept_out})"
    lost = f"hung up: {report['aborted']}  broken: {report['broken']}  asked again: {report['asked_again']}"
    after = report["right_after_retries_percent"]
    took = (
        "in virtual time, where work costs nothing"
        if "simulated" in report
        else f"took {report['rehearsal_core_percent']:g} % of a core"
    )
    bound = f"{report['bound_percent']} % (three tries at once: {report['bound_at_once_percent']} %)"
    lines = [
        "",
        f"requests       {requests['asked']}, of which {late} were late",
        f"rehearsal      {took}",
        f"right in time  {report['right_percent']} % at the first try, {after} % after retries",
        f"ideal cache    {bound}; reached of that: {report['of_bound_percent']} %",
        f"latency        {latencies}  (right answers, from when the request was due)",
        f"wrong answers  {report['wrong']}",
        f"statuses       {statuses}  {lost}",
    ]
    if "server_memory_bytes_peak" in report:
        lines.append(f"server         {_weight(report)}")
    for country, load in report["registries"].items():
        lines.append(
            f"registry {country}    {load['requests']} requests for {load['distinct']} companies"
            f" ({load['requests_per_distinct']:g} each), {load['at_once_peak']} at once at most,"
            f" {load['throttled_percent']:g} % throttled" + _sockets(load)
        )
        lines.append(
            f"  {load['right_percent']} % right in time, {load['of_bound_percent']} % of what was possible"
        )
        lines += [_outage(outage) for outage in load["outages"]]
    return "\n".join(lines)


def _weight(report: dict[str, Any]) -> str:
    """Tell what the server took, and how often that is unknown."""
    seconds, peak = report["server_seconds"], report["server_memory_bytes_peak"]
    if peak is None:
        return "never weighed"
    unknown = f", not weighed in {seconds.count(None)} of {len(seconds)} seconds" if None in seconds else ""
    return f"{peak >> 20} MiB, {report['server_descriptors_peak']} descriptors at most{unknown}"


def _sockets(load: dict[str, Any]) -> str:
    """Tell a registry's sockets, where there are any: a simulation has none."""
    peak = load["sockets_peak"]
    return f", {peak} sockets at most, {load['sockets']} at the end" if peak else ""


def _outage(outage: dict[str, Any]) -> str:
    shares = "  ".join(
        f"{kind} {100 * part['right'] / part['asked']:.1f} % of {part['asked']}"
        for kind in ("warm", "cold")
        if (part := outage[kind])["asked"]
    )
    recovery = outage["recovery_s"]
    recovered = "never well again" if recovery is None else f"well again {recovery:.1f} s after it"
    lines = [
        f"  away {outage['begin_s']:g} s to {outage['begin_s'] + outage['length_s']:g} s: {shares}; {recovered}"
    ]
    lines += [f"    {when}: {_failures(outage[key])}" for when, key in _WHEN if _failures(outage[key])]
    return "\n".join(lines)


def _failures(failures: dict[str, Any]) -> str:
    parts = [
        f"{status} {part['count']} times, p50 {part['latency_ms']['p50']:g} ms, p99 {part['latency_ms']['p99']:g} ms"
        for status, part in failures["statuses"].items()
    ]
    parts += [
        f"{name.replace('_', ' ')} {failures[name]}" for name in ("hung_up", "broken") if failures[name]
    ]
    return "; ".join(parts)
