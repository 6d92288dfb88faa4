import { describe as group, expect, it } from 'vitest';
import type { FeedEntry } from '../../live/feed.ts';
import type { BrokerEvent } from './api.ts';
import { describe, eventTypes, kindOf, matches, refusalName, rejectionName } from './events.ts';

function entry(type: string, fields: Record<string, unknown> = {}): FeedEntry<BrokerEvent> {
    return { key: type, id: 1, at: 1, type, event: { ts: 1, type, ...fields } };
}

group('describe', () => {
    it.each([
        [
            { type: 'status_changed', before: 'idle', status: 'dnd', source: 'manual' },
            'idle → do not disturb, by itself',
        ],
        [{ type: 'slow_consumer', inFlight: 1 }, '1 push unanswered'],
        [{ type: 'hello_refused', reason: 'capacity', count: 2 }, 'the mesh is full, 2 times'],
        [
            { type: 'messages_rejected', reason: 'rate_limit', count: 1 },
            'sends over the rate of a member, 1 time',
        ],
        [{ type: 'more', count: 1200 }, '1,200 more events within one second'],
        [{ type: 'peer_joined' }, ''],
        [{ type: 'never_heard_of' }, ''],
    ])('%o', (event, expected) => {
        expect(describe({ ts: 1, ...event })).toBe(expected);
    });
});

it('names what it does not know by what it is called', () => {
    expect(kindOf('never_heard_of')).toEqual({ label: 'never heard of', group: 'upkeep' });
    expect(rejectionName('some_new_reason')).toBe('some new reason');
    expect(refusalName('some_new_reason')).toBe('some new reason');
});

it('filters by type and by text', () => {
    const joined = entry('peer_joined', { name: 'Ada', mesh: 'red', key: 'c0ffee' });
    const all = { types: new Set<string>(), text: '' };
    expect(matches(joined, all)).toBe(true);
    for (const text of ['ada', 'RED', 'c0ff', 'joined']) {
        expect(matches(joined, { ...all, text }), text).toBe(true);
    }
    expect(matches(joined, { ...all, text: 'bob' })).toBe(false);
    expect(matches(joined, { types: new Set(['peer_left']), text: '' })).toBe(false);
});

it('offers every type once', () => {
    expect(new Set(eventTypes).size).toBe(eventTypes.length);
});
