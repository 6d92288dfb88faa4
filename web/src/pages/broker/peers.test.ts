import { describe, expect, it } from 'vitest';
import { filterPeers, nextOrder, sortPeers, stateName } from './peers.ts';
import { samplePeer } from './sample_state.ts';

const ada = samplePeer({ id: '1', name: 'Ada', mesh: 'red', inFlight: 3, groups: ['front'] });
const bob = samplePeer({ id: '2', name: 'bob', mesh: 'blue', status: 'dnd', slow: true });
const cyd = samplePeer({ id: '3', name: 'Cyd', mesh: 'red', leaseEndsAt: 5, inFlight: 3 });
const peers = [cyd, bob, ada];
const names = (rows: readonly { name: string }[]) => rows.map((row) => row.name);

describe('filterPeers', () => {
    it.each([
        ['', ['Cyd', 'bob', 'Ada']],
        ['  ADA ', ['Ada']],
        ['red', ['Cyd', 'Ada']],
        ['@fro', ['Cyd', 'bob', 'Ada']],
        ['away', ['Cyd']],
        ['disturb', ['bob']],
        ['slow', ['bob']],
        ['0123', ['Cyd', 'bob', 'Ada']],
        ['nobody', []],
    ])('%s', (text, expected) => {
        expect(names(filterPeers(peers, text))).toEqual(expected);
    });
});

describe('sortPeers', () => {
    it('orders words without regard to case, numbers by size, ties by name', () => {
        const by = (column: 'name' | 'mesh' | 'inFlight', descending = false) =>
            names(sortPeers(peers, { column, descending }));
        expect(by('name')).toEqual(['Ada', 'bob', 'Cyd']);
        expect(by('name', true)).toEqual(['Cyd', 'bob', 'Ada']);
        expect(by('mesh')).toEqual(['bob', 'Ada', 'Cyd']);
        expect(by('inFlight', true)).toEqual(['Ada', 'Cyd', 'bob']);
    });

    it('leaves the list it was given alone', () => {
        sortPeers(peers, { column: 'name', descending: false });
        expect(names(peers)).toEqual(['Cyd', 'bob', 'Ada']);
    });
});

it('a second choice of a column turns the order, a new number begins with the largest', () => {
    const byName = { column: 'name', descending: false } as const;
    expect(nextOrder(byName, 'name')).toEqual({ column: 'name', descending: true });
    expect(nextOrder(byName, 'mesh')).toEqual({ column: 'mesh', descending: false });
    expect(nextOrder(byName, 'buffered')).toEqual({ column: 'buffered', descending: true });
});

it('who is away shows that instead of a status', () => {
    expect([ada, bob, cyd].map(stateName)).toEqual(['Idle', 'Do not disturb', 'Away']);
});
