-- A company that was never asked for before, each time: `wrk --script unique.lua URL -- FIRST COUNTRY`; one thread.
local number, country = 0, ""

function init(arguments)
  number = tonumber(arguments[1])
  country = arguments[2]
end

function request()
  number = number + 1
  return wrk.format("GET", ("/company?id=%09d&country_iso=%s"):format(number, country))
end

function done(summary, latency)
  local errors = summary.errors
  io.stderr:write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"not_200":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
