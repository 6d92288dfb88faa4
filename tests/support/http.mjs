// HTTP as the tests need it: exact control over headers and bytes, a deadline on every exchange,
// and raw sockets for requests no client library would send.
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';

export const kRequestDeadlineMs = 30_000;

const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });

export class HttpResponse {
    constructor(status, headers, bytes) {
        this.status = status;
        this.headers = headers; // names in lower case
        this.bytes = bytes;
    }
    get text() {
        return this.bytes.toString('utf8');
    }
    get json() {
        return JSON.parse(this.text);
    }
    // "404 SHADE_NOT_FOUND" or "200": what most assertions compare.
    get outcome() {
        const type = this.headers['content-type'] ?? '';
        if (this.status < 400 || !type.startsWith('application/json')) {
            return String(this.status);
        }
        return `${this.status} ${this.json.error?.code ?? this.json.status ?? '?'}`;
    }
}

// A request over TLS or plain TCP as the address says; `transport` is what TLS needs (ca) and where
// the connection comes from (localAddress), and then it has a connection of its own.
function openRequest(baseUrl, transport, options) {
    const url = new URL(baseUrl);
    const { request } = url.protocol === 'https:' ? https : http;
    return request({
        host: url.hostname,
        port: url.port,
        ...options,
        ...(transport && { ...transport, agent: false }),
    });
}

// `body` is a Buffer or undefined. Rejects on transport errors and when `deadlineMs` has passed.
export function exchange(baseUrl, method, target, options = {}) {
    const { headers = {}, body, deadlineMs = kRequestDeadlineMs, keepAlive = true } = options;
    return new Promise((resolve, reject) => {
        const request = openRequest(baseUrl, options.transport, {
            method,
            path: target,
            agent: keepAlive ? agent : false,
            headers: {
                ...(body === undefined ? {} : { 'Content-Length': body.length }),
                ...headers,
            },
        });
        const timer = setTimeout(() => {
            request.destroy(new Error(`no answer to ${method} ${target} within ${deadlineMs} ms`));
        }, deadlineMs);
        const fail = (error) => {
            clearTimeout(timer);
            reject(error);
        };
        request.on('error', fail);
        request.on('response', (response) => {
            const chunks = [];
            response.on('data', (chunk) => chunks.push(chunk));
            response.on('error', fail);
            response.on('aborted', () => fail(new Error(`${method} ${target}: answer cut off`)));
            response.on('end', () => {
                clearTimeout(timer);
                const { statusCode, headers: responseHeaders } = response;
                resolve(new HttpResponse(statusCode, responseHeaders, Buffer.concat(chunks)));
            });
        });
        request.end(body);
    });
}

// Sends bytes as they are and reads until the server closes or one whole response is there.
// Resolves with the parsed response, or null when the connection was closed without one.
export function rawExchange(baseUrl, bytes, { deadlineMs = kRequestDeadlineMs } = {}) {
    const url = new URL(baseUrl);
    return new Promise((resolve, reject) => {
        const socket = net.connect(Number(url.port), url.hostname);
        const chunks = [];
        const timer = setTimeout(() => {
            socket.destroy();
            reject(new Error(`raw request unanswered after ${deadlineMs} ms`));
        }, deadlineMs);
        const finish = () => {
            clearTimeout(timer);
            socket.destroy();
            resolve(parseResponse(Buffer.concat(chunks)));
        };
        socket.on('connect', () => socket.write(bytes));
        socket.on('data', (chunk) => {
            chunks.push(chunk);
            if (isWhole(Buffer.concat(chunks))) {
                finish();
            }
        });
        socket.on('error', finish);
        socket.on('close', finish);
    });
}

function splitHead(bytes) {
    const end = bytes.indexOf('\r\n\r\n');
    return end < 0 ? null : { head: bytes.subarray(0, end).toString('latin1'), bodyAt: end + 4 };
}

function isWhole(bytes) {
    const split = splitHead(bytes);
    const length = split && /^content-length: *(\d+)/im.exec(split.head);
    return Boolean(length) && bytes.length >= split.bodyAt + Number(length[1]);
}

function parseResponse(bytes) {
    const split = splitHead(bytes);
    if (!split) {
        return null;
    }
    const [statusLine, ...lines] = split.head.split('\r\n');
    const headers = {};
    for (const line of lines) {
        const colon = line.indexOf(':');
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const end = split.bodyAt + Number(headers['content-length'] ?? bytes.length);
    const body = bytes.subarray(split.bodyAt, end);
    return new HttpResponse(Number(statusLine.split(' ')[1]), headers, body);
}

// A reader of server-sent events. `next(predicate)` resolves with the first event from the read
// position on that satisfies it, and moves past it.
export class EventStream {
    static open(baseUrl, target, options = {}) {
        const { headers = {}, deadlineMs = kRequestDeadlineMs, transport } = options;
        return new Promise((resolve, reject) => {
            const request = openRequest(baseUrl, transport, {
                path: target,
                agent: false,
                headers: { Accept: 'text/event-stream', ...headers },
            });
            const timer = setTimeout(
                () => request.destroy(new Error(`${target}: no stream within ${deadlineMs} ms`)),
                deadlineMs,
            );
            request.on('error', reject);
            request.on('response', (response) => {
                clearTimeout(timer);
                resolve(new EventStream(request, response));
            });
            request.end();
        });
    }

    constructor(request, response) {
        this.request = request;
        this.status = response.statusCode;
        this.headers = response.headers;
        this.events = [];
        this.comments = 0;
        this.position = 0;
        this.closed = false;
        this.pending = '';
        this.raw = '';
        this.wakeups = new Set();
        request.removeAllListeners('error');
        request.on('error', () => this.end());
        response.setEncoding('utf8');
        response.on('data', (text) => this.feed(text));
        response.on('error', () => this.end());
        response.on('close', () => this.end());
    }

    feed(text) {
        this.raw += text;
        this.pending += text;
        for (let at = this.pending.indexOf('\n\n'); at >= 0; at = this.pending.indexOf('\n\n')) {
            this.parse(this.pending.slice(0, at));
            this.pending = this.pending.slice(at + 2);
        }
        this.wake();
    }

    parse(block) {
        const event = { event: 'message', data: [] };
        let isEvent = false;
        for (const line of block.split('\n')) {
            const colon = line.indexOf(':');
            const name = colon < 0 ? line : line.slice(0, colon);
            const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
            if (name === '') {
                this.comments += 1;
            } else if (name === 'data') {
                event.data.push(value);
                isEvent = true;
            } else {
                event[name] = value;
                isEvent = isEvent || name === 'event';
            }
        }
        if (isEvent) {
            event.data = event.data.join('\n');
            this.events.push(event);
        }
    }

    end() {
        this.closed = true;
        this.wake();
    }

    wake() {
        this.wakeups.forEach((wakeup) => wakeup());
    }

    next(predicate = () => true, deadlineMs = kRequestDeadlineMs) {
        return new Promise((resolve, reject) => {
            let timer;
            const settle = (finish, value) => {
                clearTimeout(timer);
                this.wakeups.delete(check);
                finish(value);
            };
            const check = () => {
                for (let i = this.position; i < this.events.length; i += 1) {
                    if (predicate(this.events[i])) {
                        this.position = i + 1;
                        return settle(resolve, this.events[i]);
                    }
                }
                if (this.closed) {
                    return settle(reject, new Error(`stream ended; seen: ${this.summary()}`));
                }
                return undefined;
            };
            timer = setTimeout(
                () => settle(reject, new Error(`no such event; seen: ${this.summary()}`)),
                deadlineMs,
            );
            this.wakeups.add(check);
            check();
        });
    }

    // Resolves once the stream has ended.
    async ended(deadlineMs = kRequestDeadlineMs) {
        await this.next(() => false, deadlineMs).catch((error) => {
            if (!this.closed) {
                throw error;
            }
        });
    }

    summary() {
        return this.events.map((event) => event.event).join(', ') || 'nothing';
    }

    close() {
        this.request.destroy();
    }
}
