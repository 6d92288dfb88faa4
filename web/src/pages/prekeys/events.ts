// How each kind of event appears in the feed: its name, its group for colour and filters, and a
// sentence made of its fields.
import { type FeedEntry, type FeedFilter, passes } from '../../live/feed.ts';
import { formatCount, plural } from '../../ui/format.ts';
import type { ObserverEvent } from './api.ts';

export type EventGroup = 'keys' | 'identity' | 'stock' | 'refused' | 'upkeep';

export interface EventKind {
    readonly label: string;
    readonly group: EventGroup;
}

const kinds: Readonly<Record<string, EventKind>> = {
    fetched: { label: 'Fetched', group: 'keys' },
    replenished: { label: 'Replenished', group: 'keys' },
    signed_prekey_rotated: { label: 'Prekey rotated', group: 'keys' },
    registered: { label: 'Registered', group: 'identity' },
    identity_rotated: { label: 'Identity rotated', group: 'identity' },
    deleted: { label: 'Deleted', group: 'identity' },
    prekeys_low: { label: 'Stock low', group: 'stock' },
    prekeys_exhausted: { label: 'Stock empty', group: 'stock' },
    depletion_suspected: { label: 'Drain suspected', group: 'refused' },
    identity_conflict: { label: 'Identity conflict', group: 'refused' },
    replay_rejected: { label: 'Replay rejected', group: 'refused' },
    rate_limited: { label: 'Rate limited', group: 'refused' },
    purged: { label: 'Purged', group: 'upkeep' },
    kt_checkpoint: { label: 'Checkpoint', group: 'upkeep' },
    restore_epoch: { label: 'Restored', group: 'upkeep' },
    restarted: { label: 'Restarted', group: 'upkeep' },
    reset: { label: 'Gap', group: 'upkeep' },
};

export const eventTypes: readonly string[] = Object.keys(kinds);

export function kindOf(type: string): EventKind {
    return kinds[type] ?? { label: type.replaceAll('_', ' '), group: 'upkeep' };
}

const outcomes: Readonly<Record<string, string>> = {
    issued: 'with a one-time key',
    exhausted: 'without a one-time key: none left',
    withheld: 'without a one-time key: withheld by policy',
};

const kems: Readonly<Record<string, string>> = {
    one_time: 'with a one-time KEM key',
    last_resort: 'with the last-resort KEM key',
};

const limitNames: Readonly<Record<string, string>> = {
    register: 'registrations per address',
    fetch: 'fetches per address',
    target: 'one-time keys per target',
    pair: 'fetches per caller and target',
    replenish: 'uploads per identity',
};

export function limitName(limit: string): string {
    return limitNames[limit] ?? limit;
}

function left(event: ObserverEvent): string[] {
    const parts = [];
    if (event.remaining !== undefined) {
        parts.push(`${formatCount(event.remaining)} EC`);
    }
    if (event.kemRemaining !== undefined) {
        parts.push(`${formatCount(event.kemRemaining)} KEM`);
    }
    return parts.length === 0 ? [] : [`${parts.join(' and ')} left`];
}

function sentence(event: ObserverEvent): string[] {
    switch (event.type) {
        case 'fetched': {
            const kem = kems[event.kem ?? ''];
            const outcome = outcomes[event.oneTime ?? ''] ?? '';
            return [outcome, kem ?? '', ...left(event)];
        }
        case 'registered':
            return [event.suite ?? '', ...left(event)];
        case 'replenished':
            return [
                event.count === undefined ? '' : plural(event.count, 'key', 'keys'),
                ...left(event),
            ];
        case 'prekeys_low':
        case 'prekeys_exhausted':
            return left(event);
        case 'rate_limited':
            return [`over the limit of ${limitName(event.limit ?? 'requests')}`];
        case 'identity_conflict':
            return ['registered by another identity key; refused'];
        case 'replay_rejected':
            return ['a signed request arrived twice; refused'];
        case 'depletion_suspected':
            return ['many fetches of one target in a short time', ...left(event)];
        case 'purged':
            return [`${plural(event.count ?? 1, 'stale identity', 'stale identities')} removed`];
        case 'kt_checkpoint':
            return event.treeSize === undefined
                ? []
                : [`tree of ${plural(event.treeSize, 'leaf', 'leaves')}`];
        case 'restore_epoch':
            return ['from a backup; all one-time keys were dropped'];
        case 'restarted':
            return ['the server was started again; counters begin at zero'];
        case 'reset':
            return ['some events were missed; the state was loaded again'];
        default:
            return [event.suite ?? '', ...left(event)];
    }
}

export function describe(event: ObserverEvent): string {
    return sentence(event)
        .filter((part) => part !== '')
        .join(' · ');
}

export function matches(entry: FeedEntry<ObserverEvent>, filter: FeedFilter): boolean {
    const { event } = entry;
    return passes(entry, filter, [
        entry.type,
        kindOf(entry.type).label,
        event.address,
        event.addressHash,
        event.ipPrefixHash,
        event.suite,
        describe(event),
    ]);
}
