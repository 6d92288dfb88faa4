import { describe, expect, it } from 'vitest';
import { feedMax } from '../../live/feed.ts';
import type { SseEvent } from '../../live/sse_parser.ts';
import { type Model, serverTime, withEvents, withState } from './model.ts';
import { sampleNow, sampleState } from './sample_state.ts';

function event(id: number, type: string, fields: Record<string, unknown> = {}): SseEvent {
    return { id: String(id), type, data: JSON.stringify({ ts: sampleNow + id, type, ...fields }) };
}

const start = (): Model => withState(null, sampleState(), sampleNow + 500, false);
const after = (...batch: SseEvent[]) => withEvents(start(), batch);

describe('withEvents', () => {
    it('carries a fetch into counters, stock and history', () => {
        const fetched = event(41, 'fetched', { oneTime: 'issued', kem: 'one_time' });
        const { state } = after(fetched).model;
        expect(state.counters).toMatchObject({ fetched: 101, issued: 99, withheld: 1 });
        expect(state.totals).toMatchObject({ oneTimePreKeys: 499, kemOneTimePreKeys: 89 });
        expect(state.history.series.fetches.at(-1)).toBe(1);
        expect(state.history.series.issued.at(-1)).toBe(1);
        expect(state.history.series.oneTimePreKeys.at(-1)).toBe(499);
        expect(state.lastEventId).toBe(41);
    });

    it('takes no key from the stock when none was given', () => {
        const withheld = event(41, 'fetched', { oneTime: 'withheld', kem: 'last_resort' });
        const exhausted = event(42, 'fetched', { oneTime: 'exhausted', kem: 'none' });
        const { state } = after(withheld, exhausted).model;
        expect(state.counters).toMatchObject({
            fetched: 102,
            issued: 98,
            withheld: 2,
            exhausted: 2,
        });
        expect(state.totals).toMatchObject({ oneTimePreKeys: 500, kemOneTimePreKeys: 90 });
    });

    it.each([
        ['registered', 'registered'],
        ['replenished', 'replenished'],
        ['signed_prekey_rotated', 'rotated'],
        ['deleted', 'deleted'],
        ['replay_rejected', 'replaysRejected'],
        ['identity_rotated', 'rotated'],
        ['identity_conflict', 'identityConflicts'],
        ['depletion_suspected', 'depletionSuspected'],
    ] as const)('counts %s', (type, counter) => {
        const before = start().state.counters[counter];
        expect(after(event(41, type)).model.state.counters[counter]).toBe(before + 1);
    });

    it('counts rate limits by kind, purges by number, and the tree by its size', () => {
        const { state } = after(
            event(41, 'rate_limited', { limit: 'fetch' }),
            event(42, 'rate_limited', { limit: 'brand_new' }),
            event(43, 'purged', { count: 5 }),
            event(44, 'kt_checkpoint', { treeSize: 77 }),
        ).model;
        expect(state.counters.rateLimited).toMatchObject({ fetch: 4, brand_new: 1 });
        expect(state.counters.purged).toBe(5);
        expect(state.keyTransparency).toEqual({ treeSize: 77, checkpointAt: sampleNow + 44, trouble: null });
    });

    it('shows what the state already contains without counting it again', () => {
        const outcome = after(event(39, 'fetched', { oneTime: 'issued' }), event(40, 'deleted'));
        expect(outcome.model.feed.map((entry) => entry.type)).toEqual(['deleted', 'fetched']);
        expect(outcome.model.state).toEqual(start().state);
        expect(outcome.wantsRefresh).toBe(false);
    });

    it('takes an event that comes twice once', () => {
        const first = after(event(41, 'deleted')).model;
        const again = withEvents(first, [event(41, 'deleted')]).model;
        expect(again.feed).toHaveLength(1);
        expect(again.state.counters.deleted).toBe(1);
    });

    it('keeps the newest first and the feed bounded', () => {
        const many = Array.from({ length: feedMax + 200 }, (_, index) =>
            event(41 + index, 'deleted'),
        );
        const { model } = after(...many);
        expect(model.feed).toHaveLength(feedMax);
        expect(model.feed[0]?.id).toBe(40 + feedMax + 200);
        expect(model.feedTotal).toBe(feedMax + 200);
    });

    it('asks for a reload when events were missed', () => {
        const outcome = after({ id: '40', type: 'reset', data: '{}' });
        expect(outcome.needsReload).toBe(true);
        expect(outcome.model.feed[0]?.type).toBe('reset');
    });

    it('skips what it cannot read and shows types it does not know', () => {
        const garbage: SseEvent = { id: '41', type: 'fetched', data: 'not json' };
        const { model } = after(garbage, event(42, 'something_new'));
        expect(model.feed.map((entry) => entry.type)).toEqual(['something_new']);
        expect(model.state.counters.fetched).toBe(100);
    });

    it('remembers when each kind was last seen', () => {
        const { model } = after(event(41, 'identity_conflict'), event(50, 'identity_conflict'));
        expect(model.lastSeen['identity_conflict']).toBe(sampleNow + 50);
    });
});

describe('withState', () => {
    it('knows the time of the server', () => {
        expect(serverTime(start(), sampleNow + 2500)).toBe(sampleNow + 2000);
    });

    it('applies events that are newer than a state that arrives late', () => {
        const { model } = after(event(41, 'deleted'), event(42, 'deleted'));
        const late = sampleState({ lastEventId: 41, counters: { deleted: 1 } });
        expect(withState(model, late, sampleNow, false).state.counters.deleted).toBe(2);
    });

    it('keeps the feed over a restart, marks it, and starts the figures anew', () => {
        const { model } = after(event(41, 'deleted'));
        const booted = sampleState({ bootId: 'n3w', lastEventId: 0, counters: {} });
        const next = withState(model, booted, sampleNow, true);
        expect(next.feed.map((entry) => entry.type)).toEqual(['restarted', 'deleted']);
        expect(next.state.counters.deleted).toBe(0);
        const again = withEvents(next, [event(41, 'fetched', { oneTime: 'issued' })]).model;
        expect(again.feed).toHaveLength(3);
        expect(again.state.counters.fetched).toBe(1);
    });
});
