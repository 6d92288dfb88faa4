// Who is there: filter, order, and what each peer has not answered yet.
import { useMemo, useState } from 'preact/hooks';
import { useNow } from '../../console/clock.ts';
import { ago, formatBytes, formatCount, formatFullTime, plural } from '../../ui/format.ts';
import { Section } from '../../ui/panel.tsx';
import { StatusDot } from '../../ui/status_dot.tsx';
import type { PeerRow } from './api.ts';
import { sourceName } from './events.ts';
import { type Model, serverTime } from './model.ts';
import {
    type Column,
    type Order,
    filterPeers,
    isAway,
    nextOrder,
    sortPeers,
    stateName,
} from './peers.ts';

const rowsAtFirst = 25;

const headings: readonly { column: Column; label: string }[] = [
    { column: 'name', label: 'Peer' },
    { column: 'mesh', label: 'Mesh' },
    { column: 'status', label: 'Status' },
    { column: 'connected', label: 'Connected' },
    { column: 'inFlight', label: 'Unanswered' },
    { column: 'buffered', label: 'Buffered' },
];

export function PeersSection({ model }: { model: Model }) {
    const { peers, figures } = model.state;
    const [text, setText] = useState('');
    const [order, setOrder] = useState<Order>({ column: 'name', descending: false });
    const [all, setAll] = useState(false);
    const found = useMemo(() => sortPeers(filterPeers(peers, text), order), [peers, text, order]);
    const shown = all ? found : found.slice(0, rowsAtFirst);
    const total = figures.connected + figures.leased;
    const now = serverTime(model, useNow());
    return (
        <Section
            id="peers"
            title="Peers"
            lead={
                total > peers.length
                    ? `The first ${formatCount(peers.length)} of ${formatCount(total)}, slow ones before others.`
                    : 'Connected now, and those that may come back to their place.'
            }
            aside={
                <div class="feed-tools">
                    <input
                        type="search"
                        class="field"
                        placeholder="Filter by name, mesh or @group"
                        aria-label="Filter peers"
                        value={text}
                        onInput={(event) => setText(event.currentTarget.value)}
                    />
                </div>
            }
        >
            <div class="panel span-full">
                {found.length === 0 ? (
                    <p class="empty" data-testid="no-peers">
                        {peers.length === 0 ? 'Nobody is connected.' : 'No peer matches.'}
                    </p>
                ) : (
                    <table class="rows-table peers-table" data-testid="peers">
                        <caption class="visually-hidden">Peers</caption>
                        <thead>
                            <tr>
                                {headings.map((heading) => (
                                    <SortableHeading
                                        key={heading.column}
                                        {...heading}
                                        order={order}
                                        onOrder={setOrder}
                                    />
                                ))}
                            </tr>
                        </thead>
                        <tbody>
                            {shown.map((peer) => (
                                <PeerLine key={peer.id} peer={peer} now={now} />
                            ))}
                        </tbody>
                    </table>
                )}
                {found.length > rowsAtFirst && (
                    <button
                        type="button"
                        class="button"
                        aria-expanded={all}
                        onClick={() => setAll(!all)}
                    >
                        {all ? 'Show fewer' : `Show all ${plural(found.length, 'peer', 'peers')}`}
                    </button>
                )}
            </div>
        </Section>
    );
}

function SortableHeading(props: {
    column: Column;
    label: string;
    order: Order;
    onOrder(order: Order): void;
}) {
    const { column, label, order } = props;
    const isSorted = order.column === column;
    const direction = order.descending ? 'descending' : 'ascending';
    return (
        <th scope="col" aria-sort={isSorted ? direction : undefined}>
            <button
                type="button"
                class="sort-button"
                data-sorted={isSorted ? direction : undefined}
                onClick={() => props.onOrder(nextOrder(order, column))}
            >
                {label}
                <span class="sort-mark" aria-hidden="true" />
            </button>
        </th>
    );
}

const tones: Readonly<Record<string, 'good' | 'notice' | 'warning' | 'plain'>> = {
    idle: 'good',
    working: 'notice',
    dnd: 'warning',
};

function PeerLine({ peer, now }: { peer: PeerRow; now: number }) {
    const more = peer.groupCount - peer.groups.length;
    return (
        <tr data-peer={peer.name} data-away={isAway(peer)} data-slow={peer.slow}>
            <th scope="row">
                <span class="peer-name">
                    {peer.name}
                    {peer.slow && <span class="mark-slow">slow</span>}
                    {peer.elsewhere && <span class="mark-soft">other node</span>}
                    {peer.role === 'admin' && <span class="mark-soft">admin</span>}
                </span>
                <span class="peer-detail">
                    <code class="hash">{peer.key}</code>
                    {peer.session && ' session'}
                    {peer.groups.map((group) => (
                        <span key={group} class="peer-group">
                            @{group}
                        </span>
                    ))}
                    {more > 0 && <span class="peer-group">+{formatCount(more)}</span>}
                </span>
            </th>
            <td data-label="Mesh">{peer.mesh}</td>
            <td data-label="Status">
                <StatusDot tone={isAway(peer) ? 'plain' : (tones[peer.status] ?? 'plain')}>
                    {stateName(peer)}
                </StatusDot>
                <span class="peer-detail">
                    {isAway(peer)
                        ? `place kept ${remaining(peer, now)}`
                        : `${sourceName(peer.source)}, ${ago(peer.statusAt, now)}`}
                </span>
            </td>
            <td data-label="Connected" title={formatFullTime(peer.connectedAt)}>
                {ago(peer.connectedAt, now)}
            </td>
            <td data-label="Unanswered">
                {peer.elsewhere ? '–' : formatCount(peer.inFlight)}
                {!peer.elsewhere && (
                    <span class="peer-detail">
                        {peer.acknowledges ? 'acknowledges' : 'does not acknowledge'}
                    </span>
                )}
            </td>
            <td data-label="Buffered">{peer.elsewhere ? '–' : formatBytes(peer.buffered)}</td>
        </tr>
    );
}

function remaining(peer: PeerRow, now: number): string {
    const left = Math.max(0, (peer.leaseEndsAt ?? now) - now);
    return `for ${Math.ceil(left / 1000)} s`;
}
