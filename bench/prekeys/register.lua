-- Sends the lines of BENCH_FILE as registrations, each once.
local lines = io.lines(os.getenv("BENCH_FILE"))

function request()
    local body = lines()
    if not body then
        error("the registrations are used up: write more of them")
    end
    return wrk.format("POST", "/v1/keys/register", {["Content-Type"] = "application/json"}, body)
end
