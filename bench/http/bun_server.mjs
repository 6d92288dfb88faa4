// Bun's HTTP server with its router and one small JSON answer: bun bun_server.mjs PORT
Bun.serve({
    hostname: '127.0.0.1',
    port: Number(process.argv[2]),
    routes: { '/healthz': () => Response.json({ status: 'ok' }) },
    fetch: () => new Response('not found', { status: 404 }),
});
