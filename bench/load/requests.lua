-- Load for wrk: wrk ... -s requests.lua URL -- METHOD TEMPLATE OBJECTS
-- Every request names one of OBJECTS objects at random; TEMPLATE has %d where its number goes.
-- The last line of the output is one JSON object with what was measured.

local requests = {}
local count = 1

function init(args)
  count = tonumber(args[3])
  for number = 1, count do
    local path = args[2]:gsub("%%d", tostring(number))
    requests[number] = wrk.format(args[1], path)
  end
  math.randomseed(20240229)
end

function request()
  return requests[math.random(count)]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "duration_us": %d, "status_errors": %d, "socket_errors": %d, ' ..
    '"timeouts": %d, ' ..
    '"p50_us": %.1f, "p99_us": %.1f}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write, errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
