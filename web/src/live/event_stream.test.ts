import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readEventStream, silenceMaxMs } from './event_stream.ts';
import type { SseEvent } from './sse_parser.ts';

const encoder = new TextEncoder();
let body: ReadableStreamDefaultController<Uint8Array>;
let sent: RequestInit | undefined;

beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal('fetch', async (_url: URL, init: RequestInit) => {
        sent = init;
        return new Response(
            new ReadableStream({ start: (controller) => void (body = controller) }),
        );
    });
});

afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
});

function read(lastEventId = '') {
    const events: SseEvent[] = [];
    const handlers = {
        onOpen: vi.fn(),
        onActivity: vi.fn(),
        onEvent: (event: SseEvent) => void events.push(event),
    };
    const url = new URL('https://host/api/events');
    const stop = new AbortController();
    const done = readEventStream(url, 'token', lastEventId, handlers, stop.signal);
    return { events, handlers, done };
}

describe('readEventStream', () => {
    it('asks to resume, delivers events and ends when the server does', async () => {
        const { events, handlers, done } = read('41');
        await vi.advanceTimersByTimeAsync(0);
        expect(sent?.headers).toMatchObject({
            'last-event-id': '41',
            authorization: 'Bearer token',
        });
        expect(handlers.onOpen).toHaveBeenCalledTimes(1);
        const bytes = encoder.encode('id: 42\nevent: fetched\ndata: "ü"\n\n');
        body.enqueue(bytes.slice(0, 31));
        body.enqueue(bytes.slice(31));
        body.close();
        await done;
        expect(events).toEqual([{ id: '42', type: 'fetched', data: '"ü"' }]);
    });

    it('sends no Last-Event-ID when there is none', async () => {
        const { done } = read();
        await vi.advanceTimersByTimeAsync(0);
        expect(sent?.headers).not.toHaveProperty('last-event-id');
        body.close();
        await done;
    });

    it('gives up after a silence, and comments count as life', async () => {
        const { done, handlers } = read();
        const outcome = expect(done).rejects.toMatchObject({
            kind: 'unreachable',
            message: 'The connection went silent.',
        });
        await vi.advanceTimersByTimeAsync(silenceMaxMs - 1000);
        body.enqueue(encoder.encode(': heartbeat\n\n'));
        await vi.advanceTimersByTimeAsync(silenceMaxMs - 1000);
        expect(handlers.onActivity).toHaveBeenCalledTimes(2);
        await vi.advanceTimersByTimeAsync(1000);
        await outcome;
    });

    it('reports a connection that breaks', async () => {
        const { done } = read();
        const outcome = expect(done).rejects.toMatchObject({ kind: 'unreachable' });
        await vi.advanceTimersByTimeAsync(0);
        body.error(new TypeError('network error'));
        await outcome;
    });
});
