-- Walks a list of requests, each written out in full: `wrk -s walk.lua URL -- FILE FIRST`.
-- FILE holds heads, one behind the other. FIRST is where the walk begins, from 0; at the end it begins anew.
local requests, place = {}, 0
local walkers = {}

function setup(thread) walkers[#walkers + 1] = thread end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  for request in file:read("*a"):gmatch(".-\r\n\r\n") do requests[#requests + 1] = request end
  file:close()
  place = tonumber(arguments[2]) % #requests
  length = #requests
  walked = 0
end

function request()
  place = place + 1
  if place > length then place = 1 end
  walked = walked + 1
  return requests[place]
end

function done(summary, latency)
  local errors, walked, length = summary.errors, 0, 0
  for _, thread in ipairs(walkers) do
    walked = walked + thread:get("walked")
    length = thread:get("length")
  end
  io.stderr:write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"p99_9_ms":%.3f,"max_ms":%.3f,' ..
    '"not_200":%d,"broken":%d,"walked":%d,"length":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency:percentile(99.9) / 1e3, latency.max / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, walked, length))
end
