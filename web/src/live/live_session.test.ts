import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { StreamHandlers } from './event_stream.ts';
import { RequestFailure } from './http.ts';
import { type ConnectionStatus, LiveSession, refreshEveryMs } from './live_session.ts';
import type { SseEvent } from './sse_parser.ts';

interface State {
    bootId: string;
    lastEventId: number;
}

// A server that does as it is told: `state` is what it answers, `failure` what it fails with.
class FakeServer {
    state: State = { bootId: 'one', lastEventId: 1000 };
    failure: RequestFailure | null = null;
    loads = 0;
    opened: string[] = [];
    private handlers: StreamHandlers | null = null;
    private finish: { end: () => void; fail: (error: Error) => void } | null = null;

    loadState = async (): Promise<State> => {
        this.loads += 1;
        if (this.failure !== null) {
            throw this.failure;
        }
        return this.state;
    };

    followEvents = (lastEventId: string, handlers: StreamHandlers, signal: AbortSignal) => {
        this.opened.push(lastEventId);
        this.handlers = handlers;
        handlers.onOpen();
        return new Promise<void>((resolve, reject) => {
            this.finish = { end: resolve, fail: reject };
            signal.addEventListener('abort', () => reject(new Error('aborted')));
        });
    };

    send(id: number, type = 'fetched'): void {
        this.handlers?.onActivity();
        this.handlers?.onEvent({ id: String(id), type, data: '{}' });
    }

    endStream(): void {
        this.finish?.end();
    }

    breakStream(): void {
        this.finish?.fail(new RequestFailure('unreachable', 'The connection broke.'));
    }
}

let server: FakeServer;
let statuses: ConnectionStatus[];
let states: { state: State; restarted: boolean }[];
let batches: (readonly SseEvent[])[];
let unauthorized: number;
let session: LiveSession<State>;

beforeEach(() => {
    vi.useFakeTimers();
    server = new FakeServer();
    statuses = [];
    states = [];
    batches = [];
    unauthorized = 0;
    session = new LiveSession<State>({
        loadState: server.loadState,
        followEvents: server.followEvents,
        onState: (state, { restarted }) => states.push({ state, restarted }),
        onEvents: (batch) => batches.push(batch),
        onStatus: (status) => statuses.push(status),
        onUnauthorized: () => {
            unauthorized += 1;
        },
        random: () => 1,
        routineEvents: ['tick'],
    });
});

afterEach(() => {
    session.stop();
    vi.useRealTimers();
});

const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);
const phase = () => statuses.at(-1)?.phase;

describe('LiveSession', () => {
    it('loads the state, then follows events from somewhat before it', async () => {
        session.start();
        await pass(0);
        expect(states).toEqual([{ state: server.state, restarted: false }]);
        expect(server.opened).toEqual(['700']);
        expect(phase()).toBe('live');
    });

    it('hands a burst of events over as one batch', async () => {
        session.start();
        await pass(0);
        for (let id = 1001; id <= 1500; id += 1) {
            server.send(id);
        }
        await pass(200);
        expect(batches.map((batch) => batch.length)).toEqual([500]);
    });

    it('resumes after the last event when the connection ends', async () => {
        session.start();
        await pass(0);
        server.send(1001);
        server.endStream();
        await pass(0);
        expect(phase()).toBe('waiting');
        await pass(500);
        expect(server.opened).toEqual(['700', '1001']);
        expect(phase()).toBe('live');
    });

    it('takes a reset for a gap only when it had a place in the stream', async () => {
        session.start();
        await pass(0);
        server.send(990, 'reset');
        server.send(1001);
        await pass(200);
        expect(batches.flat().map((event) => event.type)).toEqual(['fetched']);
        server.endStream();
        await pass(600);
        server.send(1400, 'reset');
        await pass(200);
        expect(batches.flat().map((event) => event.type)).toEqual(['fetched', 'reset']);
    });

    it('resumes where it began when nothing has come', async () => {
        session.start();
        await pass(0);
        server.send(700, 'tick');
        server.endStream();
        await pass(600);
        expect(server.opened).toEqual(['700', '1000']);
        server.send(1400, 'reset');
        await pass(200);
        expect(batches.flat().map((event) => event.type)).toEqual(['tick', 'reset']);
    });

    it('notices a restarted server and starts from its events', async () => {
        session.start();
        await pass(0);
        server.send(1001);
        server.breakStream();
        server.state = { bootId: 'two', lastEventId: 12 };
        await pass(600);
        expect(states.at(-1)).toEqual({ state: server.state, restarted: true });
        expect(server.opened.at(-1)).toBe('0');
    });

    it('notices another boot behind a stream that stays open', async () => {
        session.start();
        await pass(0);
        server.state = { bootId: 'two', lastEventId: 3 };
        await pass(refreshEveryMs);
        expect(states.at(-1)?.restarted).toBe(true);
        await pass(1000);
        expect(server.opened).toEqual(['700', '0']);
        expect(statuses.at(-1)?.trouble).toBeNull();
    });

    it('waits longer after every failure, and starts small again after a good connection', async () => {
        server.failure = new RequestFailure('unreachable', 'no answer');
        session.start();
        await pass(0);
        const waits: number[] = [];
        for (let attempt = 0; attempt < 4; attempt += 1) {
            const last = statuses.at(-1);
            waits.push((last?.nextAttemptAt ?? 0) - Date.now());
            await pass(waits.at(-1) ?? 0);
        }
        expect(waits).toEqual([500, 1000, 2000, 4000]);
        server.failure = null;
        await pass(8000);
        expect(phase()).toBe('live');
        await pass(11_000);
        server.endStream();
        await pass(0);
        expect((statuses.at(-1)?.nextAttemptAt ?? 0) - Date.now()).toBe(500);
    });

    it('waits as long as the server says', async () => {
        server.failure = new RequestFailure('rate_limited', 'slow down', 42_000);
        session.start();
        await pass(41_900);
        expect(server.loads).toBe(1);
        await pass(200);
        expect(server.loads).toBe(2);
    });

    it('tries at once when told to', async () => {
        server.failure = new RequestFailure('rate_limited', 'slow down', 60_000);
        session.start();
        await pass(0);
        server.failure = null;
        session.retryNow();
        await pass(0);
        expect(phase()).toBe('live');
    });

    it('stops and says so when the token is refused', async () => {
        session.start();
        await pass(0);
        server.failure = new RequestFailure('unauthorized', 'no');
        await pass(refreshEveryMs);
        expect(unauthorized).toBe(1);
        expect(phase()).toBe('stopped');
        const { loads } = server;
        await pass(120_000);
        expect(server.loads).toBe(loads);
    });

    it('refreshes the state now and then, and soon but not often when asked', async () => {
        session.start();
        await pass(0);
        expect(server.loads).toBe(1);
        await pass(refreshEveryMs);
        expect(server.loads).toBe(2);
        for (let ask = 0; ask < 100; ask += 1) {
            session.refreshSoon();
            await pass(30);
        }
        expect(server.loads).toBe(3);
    });

    it('refreshes more often for a while after events', async () => {
        session.start();
        await pass(0);
        server.send(1001);
        session.refreshSoon();
        await pass(3000);
        expect(server.loads).toBe(2);
        await pass(5000);
        expect(server.loads).toBe(3);
        await pass(5000);
        expect(server.loads).toBe(4);
        await pass(14_900);
        expect(server.loads).toBe(4);
        await pass(200);
        expect(server.loads).toBe(5);
    });

    it('does not take routine events for activity', async () => {
        session.start();
        await pass(0);
        for (let second = 0; second < 29; second += 1) {
            server.send(1000, 'tick');
            await pass(1000);
        }
        expect(server.loads).toBe(2);
    });

    it('keeps the stream when a refresh fails, and shows why', async () => {
        session.start();
        await pass(0);
        server.failure = new RequestFailure('refused', 'The server answered 503.');
        await pass(refreshEveryMs);
        expect(phase()).toBe('live');
        expect(statuses.at(-1)?.trouble?.message).toBe('The server answered 503.');
        server.failure = null;
        await pass(refreshEveryMs);
        expect(statuses.at(-1)?.trouble).toBeNull();
    });

    it('does nothing after stop', async () => {
        session.start();
        await pass(0);
        session.stop();
        const { loads } = server;
        await pass(120_000);
        expect(server.loads).toBe(loads);
        expect(phase()).toBe('stopped');
    });
});
