// A member without a socket: what it asks for over HTTP under an API key, and its stream of events.
import assert from 'node:assert/strict';
import { until } from './server.mjs';

export async function call(context, token, method, path, body) {
    const response = await fetch(`${context.server.url}${path}`, {
        method,
        headers: {
            ...(token ? { Authorization: `Bearer ${token}` } : {}),
            'Content-Type': 'application/json',
        },
        body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, json: text.startsWith('{') ? JSON.parse(text) : null, text };
}

export const keyOf = async (context, scene, member, wish = {}) => {
    const made = await context.admin.call('POST', `/admin/meshes/${scene.mesh.id}/api-keys`, {
        memberId: member.id,
        label: 'a test',
        ...wish,
    });
    assert.equal(made.status, 201, made.text);
    return made.json;
};

export const envelope = (target, ciphertext, more = {}) => ({
    targetSpec: target,
    nonce: 'bm9uY2U=',
    ciphertext,
    ...more,
});

// A reader of server-sent events that keeps every message.
export class EventReader {
    static async open(context, token, query = '') {
        const reader = new EventReader();
        reader.abort = new AbortController();
        const response = await fetch(`${context.server.url}/v1/messages/stream${query}`, {
            headers: { Authorization: `Bearer ${token}` },
            signal: reader.abort.signal,
        });
        assert.equal(response.status, 200);
        assert.equal(response.headers.get('content-type'), 'text/event-stream');
        reader.messages = [];
        reader.closes = [];
        reader.done = reader.read(response.body).catch(() => {});
        reader.hello = await reader.next((m) => m.type === 'hello_ack');
        return reader;
    }

    async read(body) {
        let buffer = '';
        for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
            buffer += chunk;
            for (let end; (end = buffer.indexOf('\n\n')) >= 0; buffer = buffer.slice(end + 2)) {
                const lines = buffer.slice(0, end).split('\n');
                const data = lines.find((line) => line.startsWith('data: '))?.slice(6);
                if (data === undefined) {
                    continue;
                }
                const into = lines.includes('event: close') ? this.closes : this.messages;
                into.push(JSON.parse(data));
            }
        }
    }

    next(predicate) {
        return until(() => this.messages.find(predicate), { what: `an event: ${predicate}` });
    }

    push(text) {
        return this.next((m) => m.type === 'push' && m.ciphertext === text);
    }

    pushes() {
        return this.messages.filter((m) => m.type === 'push').map((m) => m.ciphertext);
    }

    async stop() {
        this.abort.abort();
        await this.done;
    }
}
