-- Fetches bundles of random devices bench-0:1 to bench-<BENCH_DEVICES - 1>:1.
local devices = tonumber(os.getenv("BENCH_DEVICES"))
math.randomseed(tonumber(os.getenv("BENCH_SEED") or "1"))

function request()
    return wrk.format("GET", "/v1/keys/bundle/bench-" .. math.random(0, devices - 1) .. ":1")
end
