// Filtering and ordering of the peers table. Pure.
import type { PeerRow } from './api.ts';
import { statusNames } from './events.ts';

export const columns = ['name', 'mesh', 'status', 'connected', 'inFlight', 'buffered'] as const;
export type Column = (typeof columns)[number];

export interface Order {
    readonly column: Column;
    readonly descending: boolean;
}

export function isAway(peer: PeerRow): boolean {
    return peer.leaseEndsAt !== null;
}

export function stateName(peer: PeerRow): string {
    return isAway(peer) ? 'Away' : (statusNames[peer.status] ?? peer.status);
}

export function filterPeers(peers: readonly PeerRow[], text: string): readonly PeerRow[] {
    const needle = text.trim().toLowerCase();
    if (needle === '') {
        return peers;
    }
    return peers.filter((peer) =>
        [
            peer.name,
            peer.mesh,
            peer.key,
            peer.role,
            stateName(peer),
            peer.slow ? 'slow' : '',
            ...peer.groups.map((group) => `@${group}`),
        ].some((word) => word.toLowerCase().includes(needle)),
    );
}

type Key = string | number;

const keys: Record<Column, (peer: PeerRow) => Key> = {
    name: (peer) => peer.name.toLowerCase(),
    mesh: (peer) => peer.mesh,
    status: (peer) => stateName(peer),
    connected: (peer) => peer.connectedAt,
    inFlight: (peer) => peer.inFlight,
    buffered: (peer) => peer.buffered,
};

function compare(left: Key, right: Key): number {
    if (typeof left === 'number' && typeof right === 'number') {
        return left - right;
    }
    return String(left).localeCompare(String(right), 'en');
}

// Rows that are equal in the column stand by name, then by id, so that they do not jump.
export function sortPeers(peers: readonly PeerRow[], order: Order): readonly PeerRow[] {
    const key = keys[order.column];
    const sign = order.descending ? -1 : 1;
    return peers.toSorted(
        (left, right) =>
            sign * compare(key(left), key(right)) ||
            compare(keys.name(left), keys.name(right)) ||
            compare(left.id, right.id),
    );
}

// A click on a heading: numbers begin with the largest, words with the first.
export function nextOrder(order: Order, column: Column): Order {
    if (order.column === column) {
        return { column, descending: !order.descending };
    }
    return { column, descending: column === 'inFlight' || column === 'buffered' };
}
