import { describe, expect, it } from 'vitest';
import { alertsOf } from './alerts.ts';
import { withEvents, withState } from './model.ts';
import { sampleNow, sampleState } from './sample_state.ts';

const alerts = (change: Record<string, unknown> = {}, at = sampleNow) =>
    alertsOf(withState(null, sampleState(change), sampleNow, false), at);
const ids = (change: Record<string, unknown> = {}, at = sampleNow) =>
    alerts(change, at).map((alert) => alert.id);

function afterEvent(type: string, minutesLater: number) {
    const model = withState(null, sampleState(), sampleNow, false);
    const data = JSON.stringify({ ts: sampleNow, type });
    const { model: next } = withEvents(model, [{ id: '41', type, data }]);
    return alertsOf(next, sampleNow + minutesLater * 60_000).map((alert) => alert.id);
}

const totals = (change: Record<string, number>) => ({
    totals: { identities: 10, lowThreshold: 20, ...change },
});

function traffic(last: Record<string, number>) {
    const series = Object.entries(last).map(([name, value]) => [name, [value]]);
    return { history: { stepMs: 5000, end: sampleNow, ...Object.fromEntries(series) } };
}

describe('alertsOf', () => {
    it('is silent when all is well', () => {
        expect(alerts()).toEqual([]);
    });

    it('puts failing storage first', () => {
        const found = alerts({
            storage: { kind: 'postgres', healthy: false, trouble: 'connection refused' },
            ...totals({ exhausted: 1, belowLowThreshold: 3 }),
        });
        expect(found.map((alert) => alert.id)).toEqual(['storage', 'exhausted', 'low']);
        expect(found[0]).toMatchObject({ severity: 'critical' });
        expect(found[0]?.detail).toContain('connection refused');
    });

    it('tells empty from low', () => {
        const [exhausted, low] = alerts(totals({ exhausted: 1, belowLowThreshold: 3 }));
        expect(exhausted?.title).toBe('1 identity has no one-time keys left');
        expect(low?.title).toBe('2 identities are below 20 one-time keys');
        expect(ids(totals({ exhausted: 2, belowLowThreshold: 2 }))).toEqual(['exhausted']);
    });

    it.each([
        ['depletion_suspected', 'depletion'],
        ['identity_conflict', 'conflict'],
        ['restore_epoch', 'restore'],
    ])('shows %s for half an hour', (type, id) => {
        expect(afterEvent(type, 29)).toContain(id);
        expect(afterEvent(type, 31)).not.toContain(id);
    });

    it('warns when much is withheld, not when a little is', () => {
        expect(ids(traffic({ fetches: 40, withheld: 15 }))).toEqual(['withheld']);
        expect(ids(traffic({ fetches: 400, withheld: 15 }))).toEqual([]);
        expect(ids(traffic({ fetches: 4, withheld: 4 }))).toEqual([]);
    });

    it('remarks on many rate limits', () => {
        expect(ids(traffic({ rateLimited: 20 }))).toEqual(['limited']);
        expect(ids(traffic({ rateLimited: 19 }))).toEqual([]);
    });

    it('warns when cleanup is overdue, and not when it is off or the start is recent', () => {
        const cleanup = { staleDays: 30, intervalHours: 24, lastRunAt: sampleNow - 37 * 3_600_000 };
        expect(ids({ cleanup })).toEqual(['cleanup']);
        expect(ids({ cleanup: { ...cleanup, staleDays: 0 } })).toEqual([]);
        expect(ids({ cleanup: { ...cleanup, lastRunAt: null } })).toEqual([]);
        const startedAt = sampleNow - 40 * 3_600_000;
        expect(ids({ cleanup: { ...cleanup, lastRunAt: null }, startedAt })).toEqual(['cleanup']);
    });

    it('warns when key transparency is in trouble, and says why', () => {
        const keyTransparency = { treeSize: 3, checkpointAt: null, trouble: 'an older state' };
        const found = alerts({ keyTransparency });
        expect(found.map((alert) => alert.id)).toEqual(['transparency']);
        expect(found[0]).toMatchObject({ severity: 'warning' });
        expect(found[0]?.detail).toContain('an older state');
        expect(ids({ keyTransparency: { ...keyTransparency, checkpointAt: sampleNow } })).toEqual([
            'transparency',
        ]);
    });

    it('warns when the transparency log has leaves but no checkpoint', () => {
        expect(ids({ keyTransparency: { treeSize: 3, checkpointAt: null } })).toEqual([
            'checkpoint',
        ]);
        expect(ids({ keyTransparency: { treeSize: 0, checkpointAt: null } })).toEqual([]);
        expect(ids({ keyTransparency: null })).toEqual([]);
    });
});
