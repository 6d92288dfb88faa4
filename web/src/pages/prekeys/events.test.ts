import { describe as group, expect, it } from 'vitest';
import { type FeedEntry, countByType } from '../../live/feed.ts';
import type { ObserverEvent } from './api.ts';
import { describe, kindOf, matches } from './events.ts';

function entry(type: string, fields: Record<string, unknown> = {}): FeedEntry<ObserverEvent> {
    return { key: type, id: 1, at: 1, type, event: { ts: 1, type, ...fields } };
}

group('describe', () => {
    it.each([
        [
            { type: 'fetched', oneTime: 'issued', kem: 'one_time', remaining: 9, kemRemaining: 4 },
            'with a one-time key · with a one-time KEM key · 9 EC and 4 KEM left',
        ],
        [
            { type: 'fetched', oneTime: 'withheld', kem: 'none' },
            'without a one-time key: withheld by policy',
        ],
        [{ type: 'replenished', count: 1 }, '1 key'],
        [
            { type: 'rate_limited', limit: 'pair' },
            'over the limit of fetches per caller and target',
        ],
        [{ type: 'purged', count: 23 }, '23 stale identities removed'],
        [{ type: 'kt_checkpoint', treeSize: 1 }, 'tree of 1 leaf'],
        [{ type: 'deleted' }, ''],
        [{ type: 'never_heard_of', suite: 'x', remaining: 2 }, 'x · 2 EC left'],
    ])('%o', (event, expected) => {
        expect(describe({ ts: 1, ...event })).toBe(expected);
    });
});

it('names a type it does not know by itself', () => {
    expect(kindOf('brand_new_thing')).toEqual({ label: 'brand new thing', group: 'upkeep' });
});

group('matches', () => {
    const fetched = entry('fetched', {
        addressHash: 'ab12cd34',
        suite: 'pqxdh-xeddsa',
        ipPrefixHash: 'ffee',
    });
    const all = new Set<string>();

    it('shows everything without filters', () => {
        expect(matches(fetched, { types: all, text: '' })).toBe(true);
        expect(matches(fetched, { types: all, text: '   ' })).toBe(true);
    });

    it('filters by type', () => {
        expect(matches(fetched, { types: new Set(['fetched', 'purged']), text: '' })).toBe(true);
        expect(matches(fetched, { types: new Set(['purged']), text: '' })).toBe(false);
    });

    it.each(['AB12', 'xeddsa', 'ffee', 'Fetch'])('finds %s', (text) => {
        expect(matches(fetched, { types: all, text })).toBe(true);
    });

    it('needs both filters to agree', () => {
        expect(matches(fetched, { types: new Set(['purged']), text: 'ab12' })).toBe(false);
        expect(matches(fetched, { types: all, text: 'zz' })).toBe(false);
    });
});

it('counts by type', () => {
    const counts = countByType([entry('a'), entry('b'), entry('a')]);
    expect([...counts]).toEqual([
        ['a', 2],
        ['b', 1],
    ]);
});
