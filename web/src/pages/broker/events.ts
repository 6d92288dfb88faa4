// How each kind of event appears in the feed: its name, its group for colour and filters, and a
// sentence made of its fields.
import { type FeedEntry, type FeedFilter, passes } from '../../live/feed.ts';
import { plural } from '../../ui/format.ts';
import type { BrokerEvent } from './api.ts';

export type EventGroup = 'keys' | 'identity' | 'stock' | 'refused' | 'upkeep';

interface EventKind {
    readonly label: string;
    readonly group: EventGroup;
}

const kinds: Readonly<Record<string, EventKind>> = {
    peer_joined: { label: 'Joined', group: 'keys' },
    peer_returned: { label: 'Came back', group: 'keys' },
    peer_disconnected: { label: 'Disconnected', group: 'stock' },
    peer_left: { label: 'Left', group: 'stock' },
    status_changed: { label: 'Status', group: 'identity' },
    slow_consumer: { label: 'Slow', group: 'refused' },
    slow_consumer_over: { label: 'No longer slow', group: 'keys' },
    queue_over_limit: { label: 'Queue over limit', group: 'refused' },
    queue_below_limit: { label: 'Queue below limit', group: 'keys' },
    hello_refused: { label: 'Hello refused', group: 'refused' },
    messages_rejected: { label: 'Rejected', group: 'refused' },
    mesh_created: { label: 'Mesh created', group: 'upkeep' },
    mesh_archived: { label: 'Mesh archived', group: 'upkeep' },
    storage_failing: { label: 'Storage failing', group: 'refused' },
    storage_healthy: { label: 'Storage healthy', group: 'upkeep' },
    more: { label: 'More', group: 'upkeep' },
    restarted: { label: 'Restarted', group: 'upkeep' },
    reset: { label: 'Gap', group: 'upkeep' },
};

export const eventTypes: readonly string[] = Object.keys(kinds);

export function kindOf(type: string): EventKind {
    return kinds[type] ?? { label: type.replaceAll('_', ' '), group: 'upkeep' };
}

const rejections: Readonly<Record<string, string>> = {
    rate_limit: 'sends over the rate of a member',
    too_large: 'envelopes larger than allowed',
    no_recipient: 'no such recipient',
    queue_full: 'too much waits for the recipient',
    busy: 'the broker could not store them',
    parse_or_handler: 'malformed messages',
};

const refusals: Readonly<Record<string, string>> = {
    capacity: 'the mesh is full',
    unauthorized: 'not a member',
    revoked: 'a removed member',
    no_hello: 'no hello in time',
    replayed: 'the same hello twice',
    timestamp_skew: 'clock off by more than a minute',
    session_timestamp_skew: 'clock of a session off by more than a minute',
    malformed: 'malformed hello',
    session_malformed: 'malformed session hello',
    bad_signature: 'wrong signature',
    session_bad_signature: 'wrong signature of a session',
    bad_session_pubkey: 'wrong session key',
    bad_parent_pubkey: 'wrong key of the member',
    parent_member_id_mismatch: 'key and id of different members',
    attestation_mismatch: 'attestation of another session',
    attestation_malformed: 'malformed attestation',
    attestation_expired: 'expired attestation',
    attestation_ttl_too_long: 'attestation valid for too long',
    attestation_bad_signature: 'wrong signature of an attestation',
};

export function rejectionName(reason: string): string {
    return rejections[reason] ?? reason.replaceAll('_', ' ');
}

export function refusalName(reason: string): string {
    return refusals[reason] ?? reason.replaceAll('_', ' ');
}

export const statusNames: Readonly<Record<string, string>> = {
    idle: 'Idle',
    working: 'Working',
    dnd: 'Do not disturb',
};

const sources: Readonly<Record<string, string>> = {
    hook: 'by a hook',
    manual: 'by itself',
    jsonl: 'inferred',
};

export function sourceName(source: string): string {
    return sources[source] ?? source;
}

function statusName(status: string | undefined): string {
    return (statusNames[status ?? ''] ?? status ?? '').toLowerCase();
}

export function describe(event: BrokerEvent): string {
    const times = plural(event.count ?? 1, 'time', 'times');
    switch (event.type) {
        case 'status_changed':
            return `${statusName(event.before)} → ${statusName(event.status)}, ${sourceName(event.source ?? '')}`;
        case 'peer_disconnected':
            return 'may come back to its place';
        case 'peer_left':
            return 'is there no more';
        case 'slow_consumer':
            return `${plural(event.inFlight ?? 0, 'push', 'pushes')} unanswered`;
        case 'hello_refused':
            return `${refusalName(event.reason ?? '')}, ${times}`;
        case 'messages_rejected':
            return `${rejectionName(event.reason ?? '')}, ${times}`;
        case 'queue_over_limit':
            return 'sends to this key are refused until less waits for it';
        case 'queue_below_limit':
            return 'sends to this key are taken again';
        case 'storage_failing':
            return 'sends are refused until the database is back';
        case 'more':
            return `${plural(event.count ?? 0, 'more event', 'more events')} within one second`;
        case 'restarted':
            return 'the server was started again; counters begin at zero';
        case 'reset':
            return 'some events were missed; the state was loaded again';
        default:
            return '';
    }
}

export function matches(entry: FeedEntry<BrokerEvent>, filter: FeedFilter): boolean {
    const { event } = entry;
    return passes(entry, filter, [
        entry.type,
        kindOf(entry.type).label,
        event.name,
        event.mesh,
        event.key,
        event.reason,
        describe(event),
    ]);
}
