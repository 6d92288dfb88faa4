// MockObserver: a server that speaks the observer's API, so that the console can be tested without
// the binary and in states that are hard to bring about. It serves the built pages of web/dist (or
// NAVE_WEB_DIST) with the same policy and below the same paths, with or without a prefix, and can be
// told to emit events, to lose connections, to restart, and to go away for a while.
//
// Run by hand it shows a busy server: node mock_observer.mjs [empty|busy|troubled] [port]
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../support/ports.mjs';
import { advanceHistory, applyEvent, randomEvent, randomFrom, worlds } from './mock_world.mjs';

const kRoot = fileURLToPath(new URL('../../..', import.meta.url));
const kDist = builtPages();
const kRingMax = 1000;

const kLocked =
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; " +
    "script-src 'self'; img-src 'self' data:; default-src 'none'";
export const dashboardPolicy = `${kLocked}; style-src 'self'; font-src 'self'`;
export const docsPolicy = (nonce) => `${kLocked}; style-src 'self' 'nonce-${nonce}'`;

const kTypes = {
    '.css': 'text/css; charset=utf-8',
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.svg': 'image/svg+xml',
};

// NAVE_WEB_DIST, else the pages built for the binary under test, else those of `npm run build`.
function builtPages() {
    const { NAVE_WEB_DIST: given, NAVE_BIN: binary } = process.env;
    const ofBinary = binary && path.resolve(kRoot, path.dirname(binary), 'web/dist');
    const places = [given && path.resolve(kRoot, given), ofBinary, path.join(kRoot, 'web/dist')];
    const found = places.find((place) => place && fs.existsSync(path.join(place, 'dashboard')));
    if (!found) {
        throw new Error(
            'the pages are not built: npm --prefix web run build, or set NAVE_WEB_DIST',
        );
    }
    return found;
}

export class MockObserver {
    static async start(options = {}) {
        const mock = new MockObserver(options);
        await mock.listen(options.port ?? (await freePort()));
        return mock;
    }

    constructor({ prefix = '', token = 'observer-token-for-tests', profile = 'busy' } = {}) {
        this.prefix = prefix;
        this.token = token;
        this.profile = profile;
        this.failures = 0;
        this.streams = new Set();
        this.requests = [];
        this.boot();
    }

    boot() {
        this.bootId = crypto.randomBytes(8).toString('hex');
        this.world = worlds[this.profile](Date.now());
        this.ring = [];
        this.lastEventId = 0;
    }

    async listen(port) {
        this.server = http.createServer((request, response) => this.answer(request, response));
        await new Promise((resolve, reject) => {
            this.server.once('error', reject);
            this.server.listen(port, '127.0.0.1', resolve);
        });
        this.port = this.server.address().port;
    }

    get origin() {
        return `http://127.0.0.1:${this.port}`;
    }

    get dashboardUrl() {
        return `${this.origin}${this.prefix}/shade-observer/dashboard/`;
    }

    get docsUrl() {
        return `${this.origin}${this.prefix}/docs`;
    }

    // Ends all connections; the port stays open.
    dropConnections() {
        this.server.closeAllConnections();
    }

    async goAway() {
        const closed = new Promise((resolve) => this.server.close(resolve));
        this.server.closeAllConnections();
        await closed;
    }

    async comeBack({ restarted = false } = {}) {
        if (restarted) {
            this.boot();
            this.world.startedAt = Date.now();
        }
        await this.listen(this.port);
    }

    async close() {
        if (this.server.listening) {
            await this.goAway();
        }
    }

    emit(type, fields = {}, at = Date.now()) {
        applyEvent(this.world, type, fields);
        this.lastEventId += 1;
        const event = { id: this.lastEventId, type, data: { ts: at, type, ...fields } };
        this.ring.push(event);
        this.ring.splice(0, Math.max(0, this.ring.length - kRingMax));
        for (const stream of this.streams) {
            stream.write(frame(event));
        }
        return event.id;
    }

    // A past of `count` events, spread over the last minutes.
    fillFeed(count, seed = 3) {
        const random = randomFrom(seed);
        const now = Date.now();
        for (let index = 0; index < count; index += 1) {
            const [type, fields] = randomEvent(random);
            this.emit(type, fields, now - (count - index) * 1700 - Math.floor(random() * 1500));
        }
    }

    state() {
        advanceHistory(this.world, Date.now());
        return {
            service: 'prekeys',
            version: '0.1.0',
            commit: 'abc1234',
            bootId: this.bootId,
            now: Date.now(),
            ...this.world,
            observerClients: this.streams.size,
            lastEventId: this.lastEventId,
        };
    }

    answer(request, response) {
        const { pathname, search } = new URL(request.url, this.origin);
        this.requests.push({ method: request.method, pathname, search, headers: request.headers });
        if (!pathname.startsWith(`${this.prefix}/`)) {
            return send(response, 404, 'text/plain', 'not found');
        }
        const local = pathname.slice(this.prefix.length);
        if (local.startsWith('/shade-observer/api/')) {
            return this.answerApi(local.slice('/shade-observer/api/'.length), request, response);
        }
        if (local === '/shade-observer/health' || local === '/health') {
            return sendJson(response, 200, { status: 'ok' });
        }
        if (local === '/openapi.yaml') {
            const file = path.join(kRoot, 'src/prekeys/openapi.yaml');
            return send(response, 200, 'application/yaml', fs.readFileSync(file));
        }
        if (local === '/docs') {
            return sendDocs(response);
        }
        return sendAsset(response, local.replace(/^\/shade-observer/, '').slice(1));
    }

    answerApi(name, request, response) {
        if (this.failures >= 10) {
            response.setHeader('Retry-After', '60');
            return sendError(response, 429, 'SHADE_RATE_LIMITED');
        }
        if (request.headers.authorization !== `Bearer ${this.token}`) {
            this.failures += 1;
            return sendError(response, 401, 'SHADE_UNAUTHORIZED');
        }
        if (name === 'state') {
            return this.stateFails
                ? sendError(response, 503, 'SHADE_STORAGE')
                : sendJson(response, 200, this.state());
        }
        if (name === 'events') {
            return this.stream(request, response);
        }
        return sendError(response, 404, 'SHADE_NOT_FOUND');
    }

    stream(request, response) {
        response.writeHead(200, {
            'Content-Type': 'text/event-stream',
            'Cache-Control': 'no-store',
        });
        response.write(': hello\n\n');
        const from = request.headers['last-event-id'];
        if (from !== undefined) {
            const oldest = this.ring[0]?.id ?? this.lastEventId + 1;
            if (Number(from) + 1 < oldest) {
                response.write(`event: reset\ndata: ${JSON.stringify({ ts: Date.now() })}\n\n`);
            }
            for (const event of this.ring.filter((one) => one.id > Number(from))) {
                response.write(frame(event));
            }
        }
        this.streams.add(response);
        const heartbeat = setInterval(() => response.write(': heartbeat\n\n'), 15_000);
        response.on('close', () => {
            clearInterval(heartbeat);
            this.streams.delete(response);
        });
    }
}

const frame = ({ id, type, data }) =>
    `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;

function send(response, status, type, body, headers = {}) {
    response.writeHead(status, {
        'Content-Type': type,
        'X-Content-Type-Options': 'nosniff',
        ...headers,
    });
    response.end(body);
}

const sendJson = (response, status, value) =>
    send(response, status, 'application/json', JSON.stringify(value), {
        'Cache-Control': 'no-store',
    });

const sendError = (response, status, code) =>
    sendJson(response, status, { error: { code, message: code, requestId: 'mock' } });

function sendDocs(response) {
    const nonce = crypto.randomBytes(16).toString('base64');
    const page = fs.readFileSync(path.join(kDist, 'docs/index.html'), 'utf8');
    send(response, 200, kTypes['.html'], page.replaceAll('__CSP_NONCE__', nonce), {
        'Content-Security-Policy': docsPolicy(nonce),
    });
}

function sendAsset(response, name) {
    const file = path.join(kDist, name.endsWith('/') ? `${name}index.html` : name);
    if (!file.startsWith(kDist + path.sep) || !fs.existsSync(file)) {
        return send(response, 404, 'text/plain', 'not found');
    }
    const type = kTypes[path.extname(file)] ?? 'application/octet-stream';
    const policy = { 'Content-Security-Policy': dashboardPolicy };
    return send(response, 200, type, fs.readFileSync(file), file.endsWith('.html') ? policy : {});
}

async function runByHand([profile = 'busy', port = '3999']) {
    const mock = await MockObserver.start({ profile, port: Number(port), prefix: '/prekeys' });
    if (profile !== 'empty') {
        mock.fillFeed(180);
    }
    const random = randomFrom(Date.now());
    if (profile !== 'empty') {
        setInterval(() => mock.emit(...randomEvent(random)), 400);
    }
    console.log(`${mock.dashboardUrl}\ntoken: ${mock.token}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    await runByHand(process.argv.slice(2));
}
