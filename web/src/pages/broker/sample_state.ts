// A small state for the tests of this page.
import { type BrokerState, type PeerRow, parseState, parseTick } from './api.ts';

export const sampleNow = 1_700_000_000_000;
export const stepMs = 5000;

export function samplePeer(change: Record<string, unknown> = {}): PeerRow {
    return sampleState({ peers: [{ ...rawPeer, ...change }] }).peers[0] as PeerRow;
}

export const rawPeer = {
    id: 'p1',
    mesh: 'team',
    name: 'ada',
    key: '0123456789ab',
    session: false,
    role: 'member',
    status: 'idle',
    source: 'jsonl',
    statusAt: sampleNow - 1000,
    groups: ['front'],
    groupCount: 1,
    connectedAt: sampleNow - 60_000,
    leaseEndsAt: null,
    inFlight: 0,
    buffered: 0,
    acknowledges: true,
    slow: false,
};

export const rawFigures = {
    meshes: 1,
    connected: 1,
    leased: 0,
    queueDepth: 0,
    oldestAt: null,
    countedAt: sampleNow,
    overLimit: 0,
    storing: 0,
    sockets: 3,
    pushed: 20,
    settled: 19,
    redelivered: 0,
    rejected: { rate_limit: 2 },
    refused: { capacity: 0, unauthorized: 1 },
    storage: { kind: 'sqlite', healthy: true, trouble: null },
    observers: 1,
};

export const rawMesh = {
    id: 'm1',
    name: 'Team',
    slug: 'team',
    connected: 1,
    leased: 0,
    capacity: 100,
    queued: 0,
    oldestAt: null,
};

export function sampleState(change: Record<string, unknown> = {}): BrokerState {
    const buckets = Array<number>(12).fill(0);
    return parseState({
        service: 'broker',
        version: '0.1.0',
        commit: 'abc1234',
        bootId: 'b00t',
        startedAt: sampleNow - 3_600_000,
        now: sampleNow,
        lastEventId: 40,
        tick: 7,
        figures: rawFigures,
        limits: { peersPerMesh: 100, queuedPerKey: 250_000, storing: 8192 },
        meshes: [rawMesh],
        peers: [rawPeer],
        history: {
            stepMs,
            end: sampleNow + stepMs,
            ...Object.fromEntries(
                ['pushed', 'settled', 'redelivered', 'rejected', 'refused'].map(
                    (name) => [name, buckets],
                ),
            ),
            queueDepth: buckets,
            connected: buckets.map(() => 1),
        },
        ...change,
    });
}

export function tickData(change: Record<string, unknown> = {}): string {
    const tick = {
        ts: sampleNow + 1000,
        tick: 8,
        figures: rawFigures,
        meshes: [],
        peers: [],
        gone: [],
        ...change,
    };
    if (parseTick(JSON.stringify(tick)) === null) {
        throw new Error('not a tick');
    }
    return JSON.stringify(tick);
}
