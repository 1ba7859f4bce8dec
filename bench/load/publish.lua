-- What a fleet says: four kinds of event in turn, each heard by other default subscriptions.
local said = {
  { "HEPHAESTUS", "deploy_started", "dev", '{"commit":"9f2c1e7","branch":"main","services":["api","web"]}' },
  { "AEGIS", "workflow_modified", "invoices", '{"workflow":"invoices","nodes":14,"by":"damon"}' },
  { "CHRONOS", "backup_completed", "prod", '{"bytes":1288490188,"seconds":41,"verified":true}' },
  { "ARGUS", "cpu_sampled", "host", '{"used_percent":37.5,"load":[0.4,0.6,0.5]}' },
}
local requests, n = {}, 0
local pause = tonumber(os.getenv("PAUSE_MS") or "0")

if pause > 0 then
  function delay()
    return pause
  end
end

local batch = tonumber(os.getenv("BATCH") or "0")

function event(e)
  return string.format('{"source_agent":"%s","action":"%s","target":"%s","details":%s}', e[1], e[2], e[3], e[4])
end

function init()
  local headers = { ["Content-Type"] = "application/json" }
  if batch > 0 then
    local events = {}
    for i = 1, batch do
      events[i] = event(said[i % #said + 1])
    end
    requests[1] = wrk.format("POST", "/events:batch", headers, "[" .. table.concat(events, ",") .. "]")
    return
  end
  for i, e in ipairs(said) do
    requests[i] = wrk.format("POST", "/events", headers, event(e))
  end
end

function request()
  n = n + 1
  return requests[n % #requests + 1]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"p50Ms":%.4f,"p99Ms":%.4f,"maxMs":%.4f,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    latency.max / 1000, e.status + e.connect + e.read + e.write + e.timeout))
end
