-- Random known companies for wrk: `wrk -s millions.lua URL -- NUMBERS COMPANIES COUNTRIES LETTERS SEED`.
-- NUMBERS is a file of the register's numbers, a line each; companies are numbered as in varied.py.
local numbers, countries, letters, companies, a_country = {}, {}, nil, 0, 0

function init(arguments)
  for line in io.lines(arguments[1]) do numbers[#numbers + 1] = line end
  companies = tonumber(arguments[2])
  for country in arguments[3]:gmatch("%a+") do countries[#countries + 1] = country end
  letters = arguments[4]
  a_country = #numbers * #letters
  math.randomseed(tonumber(arguments[5]))
end

function request()
  local place = math.random(0, companies - 1)
  local country = countries[math.floor(place / a_country) + 1]
  local letter = math.floor(place / #numbers) % #letters
  local number = numbers[place % #numbers + 1]
  if letter > 0 then
    local written = letters:sub(letter + 1, letter + 1)
    if number:sub(1, 1) ~= "0" then written = written:lower() end
    number = written .. number:sub(2)
  end
  return wrk.format("GET", "/company?id=" .. number .. "&country_iso=" .. country)
end

function done(summary, latency)
  local errors = summary.errors
  io.stderr:write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"p99_9_ms":%.3f,"max_ms":%.3f,' ..
    '"not_200":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency:percentile(99.9) / 1e3, latency.max / 1e3, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
