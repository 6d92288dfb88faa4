// A small state for the tests of this page.
import { type ObserverState, parseState } from './api.ts';

export const sampleNow = 1_700_000_000_000;
export const stepMs = 5000;

export function sampleState(change: Record<string, unknown> = {}): ObserverState {
    const buckets = Array<number>(12).fill(0);
    return parseState({
        service: 'prekeys',
        version: '0.1.0',
        commit: 'abc1234',
        bootId: 'b00t',
        startedAt: sampleNow - 3_600_000,
        now: sampleNow,
        storage: { kind: 'sqlite', healthy: true, trouble: null },
        totals: {
            identities: 10,
            identitiesBySuite: { 'x3dh-ed25519': 7, 'pqxdh-ed25519': 3 },
            oneTimePreKeys: 500,
            kemOneTimePreKeys: 90,
            belowLowThreshold: 0,
            exhausted: 0,
            lowThreshold: 20,
        },
        counters: {
            fetched: 100,
            issued: 98,
            withheld: 1,
            exhausted: 1,
            rateLimited: { fetch: 3 },
        },
        lowStock: [],
        cleanup: { staleDays: 30, intervalHours: 24, lastRunAt: sampleNow - 60_000, lastPurged: 0 },
        keyTransparency: { treeSize: 12, checkpointAt: sampleNow - 1000, trouble: null },
        history: {
            stepMs,
            end: sampleNow,
            fetches: buckets,
            issued: buckets,
            exhausted: buckets,
            withheld: buckets,
            registrations: buckets,
            rateLimited: buckets,
            oneTimePreKeys: buckets.map(() => 500),
            kemOneTimePreKeys: buckets.map(() => 90),
        },
        observerClients: 1,
        lastEventId: 40,
        ...change,
    });
}
