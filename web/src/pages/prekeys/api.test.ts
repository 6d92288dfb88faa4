import { describe, expect, it } from 'vitest';
import { UnexpectedAnswer } from '../../live/wire.ts';
import { parseEvent, parseState } from './api.ts';
import { sampleState } from './sample_state.ts';

describe('parseState', () => {
    it('refuses what is not an observer state', () => {
        for (const value of [null, 3, 'x', [], {}, { bootId: 'x' }, { now: 1 }]) {
            expect(() => parseState(value)).toThrow(UnexpectedAnswer);
        }
    });

    it('fills in what an older server does not send', () => {
        const state = parseState({ bootId: 'x', now: 1000 });
        expect(state.totals.identities).toBe(0);
        expect(state.counters.rateLimited).toEqual({
            register: 0,
            fetch: 0,
            target: 0,
            pair: 0,
            replenish: 0,
        });
        expect(state.keyTransparency).toBeNull();
        expect(state.history).toMatchObject({ stepMs: 5000, end: 1000 });
        expect(state.history.series.fetches).toEqual([]);
    });

    it('keeps suites and limits a newer server adds', () => {
        const state = sampleState({
            totals: { identitiesBySuite: { 'mls-1': 4 } },
            counters: { rateLimited: { claim: 9 } },
        });
        expect(state.totals.identitiesBySuite).toMatchObject({ 'x3dh-ed25519': 0, 'mls-1': 4 });
        expect(state.counters.rateLimited).toMatchObject({ fetch: 0, claim: 9 });
    });

    it('aligns series of different lengths at their end', () => {
        const { history } = sampleState({
            history: { stepMs: 5000, end: 1, fetches: [1, 2, 3], oneTimePreKeys: [7] },
        });
        expect(history.series.fetches).toEqual([1, 2, 3]);
        expect(history.series.oneTimePreKeys).toEqual([-1, -1, 7]);
        expect(history.series.issued).toEqual([0, 0, 0]);
    });

    it('takes no text where a number belongs', () => {
        const state = sampleState({ totals: { identities: '<b>9</b>' }, startedAt: 'now' });
        expect(state.totals.identities).toBe(0);
        expect(state.startedAt).toBe(state.now);
    });
});

describe('parseEvent', () => {
    it('reads the members it knows and drops the others', () => {
        const data = '{"ts":5,"type":"fetched","addressHash":"aa","remaining":3,"key":"c2VjcmV0"}';
        expect(parseEvent('fetched', data)).toEqual({
            ts: 5,
            type: 'fetched',
            addressHash: 'aa',
            remaining: 3,
        });
    });

    it('takes the type of the stream when the data has none', () => {
        expect(parseEvent('purged', '{"ts":5}')).toEqual({ ts: 5, type: 'purged' });
    });

    it('is null for anything else', () => {
        for (const data of ['', 'null', '[]', '{}', '{"ts":"5"}', '{"ts":']) {
            expect(parseEvent('x', data)).toBeNull();
        }
    });
});
