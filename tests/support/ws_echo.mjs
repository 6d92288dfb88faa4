// The echo server of the WebSocket tests as a child process, and raw frames to send to it.
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));

const kWaitMs = 60_000;

export const echoBinary = () =>
    path.resolve(kRoot, process.env.NAVE_WS_ECHO ?? 'build/release/tests/nave_ws_echo');

export class EchoServer {
    static async start() {
        if (!fs.existsSync(echoBinary())) {
            throw new Error(
                `no echo server at ${echoBinary()}: build nave_ws_echo or set NAVE_WS_ECHO`,
            );
        }
        const server = new EchoServer();
        server.output = '';
        server.child = spawn(echoBinary(), [], { stdio: ['ignore', 'pipe', 'inherit'] });
        server.exited = new Promise((resolve) => {
            // Not at 'exit': what it printed last may still be in the pipe then.
            server.child.on('close', (code, signal) => resolve({ code, signal }));
        });
        await new Promise((resolve, reject) => {
            server.exited.then((how) => reject(new Error(`ended: ${JSON.stringify(how)}`)));
            server.child.stdout.on('data', (chunk) => {
                server.output += chunk;
                if (server.output.includes('\n')) {
                    resolve();
                }
            });
        });
        server.port = Number(server.output.split('\n')[0]);
        return server;
    }

    url(target = '/ws') {
        return `ws://127.0.0.1:${this.port}${target}`;
    }
    async stats() {
        return (await fetch(`http://127.0.0.1:${this.port}/stats`)).json();
    }
    // Ends it as an operator does; what it printed last and its exit.
    async stop() {
        this.child.kill('SIGTERM');
        const how = await this.exited;
        return { ...how, last: this.output.trim().split('\n').at(-1) };
    }
}

// One frame of a client, right or wrong.
export function frame(opcode, payload = '', { fin = true, masked = true, rsv = 0, length } = {}) {
    const body = Buffer.from(payload);
    const size = length ?? body.length;
    const digits = size < 126 ? 0 : size < 65536 ? 2 : 8;
    const head = Buffer.alloc(2 + digits);
    head[0] = (fin ? 0x80 : 0) | rsv | opcode;
    head[1] = (masked ? 0x80 : 0) | (digits === 0 ? size : digits === 2 ? 126 : 127);
    if (digits === 2) {
        head.writeUInt16BE(size, 2);
    } else if (digits === 8) {
        head.writeBigUInt64BE(BigInt(size), 2);
    }
    if (!masked) {
        return Buffer.concat([head, body]);
    }
    const key = crypto.randomBytes(4);
    return Buffer.concat([head, key, body.map((byte, i) => byte ^ key[i % 4])]);
}

export function closePayload(code, reason = '') {
    const head = Buffer.alloc(2);
    head.writeUInt16BE(code);
    return Buffer.concat([head, Buffer.from(reason)]);
}

// A handshake over a plain socket; `lines` replace or add headers. Resolves with the socket, the
// head of the answer, and a reader of frames.
export function rawConnect(port, { target = '/ws', lines = {}, first = Buffer.alloc(0) } = {}) {
    const headers = {
        Host: `127.0.0.1:${port}`,
        Upgrade: 'websocket',
        Connection: 'Upgrade',
        'Sec-WebSocket-Key': crypto.randomBytes(16).toString('base64'),
        'Sec-WebSocket-Version': '13',
        ...lines,
    };
    const head = Object.entries(headers)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');
    const socket = net.connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.write(Buffer.concat([Buffer.from(`GET ${target} HTTP/1.1\r\n${head}\r\n`), first]));
    const peer = { socket, received: Buffer.alloc(0), ended: false, wake: () => {} };
    socket.on('data', (chunk) => {
        peer.received = Buffer.concat([peer.received, chunk]);
        peer.wake();
    });
    const end = () => {
        peer.ended = true;
        peer.wake();
    };
    socket.on('end', end).on('close', end).on('error', end);

    // The first of `take`'s results that is not undefined; null when the connection ends before.
    peer.wait = async (take) => {
        for (;;) {
            const got = take();
            if (got !== undefined) {
                return got;
            }
            if (peer.ended) {
                return null;
            }
            await new Promise((resolve, reject) => {
                const late = () => reject(new Error(`nothing came in ${kWaitMs} ms`));
                const timer = setTimeout(late, kWaitMs);
                peer.wake = () => {
                    clearTimeout(timer);
                    resolve();
                };
            });
        }
    };
    peer.head = () =>
        peer.wait(() => {
            const end = peer.received.indexOf('\r\n\r\n');
            if (end < 0) {
                return undefined;
            }
            const text = peer.received.subarray(0, end).toString('latin1');
            peer.received = peer.received.subarray(end + 4);
            return { status: Number(text.split(' ')[1]), text };
        });
    peer.frame = () =>
        peer.wait(() => {
            const bytes = peer.received;
            if (bytes.length < 2) {
                return undefined;
            }
            const code = bytes[1] & 0x7f;
            const start = code < 126 ? 2 : code === 126 ? 4 : 10;
            if (bytes.length < start) {
                return undefined;
            }
            const size =
                code < 126
                    ? code
                    : code === 126
                      ? bytes.readUInt16BE(2)
                      : Number(bytes.readBigUInt64BE(2));
            if (bytes.length < start + size) {
                return undefined;
            }
            const payload = bytes.subarray(start, start + size);
            peer.received = bytes.subarray(start + size);
            const opcode = bytes[0] & 0x0f;
            return {
                first: bytes[0],
                opcode,
                payload,
                code: opcode === 8 && size >= 2 ? payload.readUInt16BE(0) : undefined,
            };
        });
    return peer;
}
