// How many one-time keys are left, over time and where they are running out.
import { useMemo, useState } from 'preact/hooks';
import { useNow } from '../../console/clock.ts';
import { gather } from '../../live/history.ts';
import { Chart } from '../../ui/chart.tsx';
import type { Series } from '../../ui/chart_data.ts';
import { ago, formatCount, formatFullTime, minute, plural, second } from '../../ui/format.ts';
import { PartsOfWhole } from '../../ui/meter.tsx';
import { Figure, Figures, Panel, Section } from '../../ui/panel.tsx';
import { useCurrentHistory } from '../../ui/use_history.ts';
import { type LowStock, type Totals, suites } from './api.ts';
import { type Model, serverTime } from './model.ts';

export function StockSection({ model }: { model: Model }) {
    const { totals, lowStock } = model.state;
    return (
        <Section
            id="stock"
            title="Stock"
            lead="One-time keys give each new session its strongest start. Every fetch uses one up; devices upload more."
        >
            <Panel
                title="One-time keys"
                span="wide"
                explanation="All one-time keys stored now, over all identities. EC keys are X25519; KEM keys are the post-quantum ones, which only identities of a pqxdh suite have."
            >
                <div class="pair">
                    <StockChart
                        model={model}
                        name="oneTimePreKeys"
                        label="EC keys"
                        colour={1}
                        owners={totals.identities}
                    />
                    <StockChart
                        model={model}
                        name="kemOneTimePreKeys"
                        label="KEM keys"
                        colour={2}
                        owners={postQuantum(totals)}
                    />
                </div>
            </Panel>
            <Panel
                title="Identities"
                span="narrow"
                explanation="Registered addresses by protocol suite. x3dh suites use elliptic curves alone, pqxdh suites add post-quantum keys; ed25519 and xeddsa name the signature scheme of the identity key."
            >
                <Figures>
                    <Figure
                        label="In total"
                        value={formatCount(totals.identities)}
                        testId="identities"
                    />
                    <Figure
                        label={`Below ${formatCount(totals.lowThreshold)} keys`}
                        value={formatCount(totals.belowLowThreshold)}
                        tone={totals.belowLowThreshold > 0 ? 'notice' : 'plain'}
                        testId="low"
                    />
                    <Figure
                        label="Empty"
                        value={formatCount(totals.exhausted)}
                        tone={totals.exhausted > 0 ? 'warning' : 'plain'}
                        testId="empty"
                    />
                </Figures>
                <PartsOfWhole
                    parts={Object.entries(totals.identitiesBySuite).map(([suite, value]) => ({
                        key: suite,
                        label: suite,
                        value,
                        series: seriesOfSuite(suite),
                    }))}
                />
            </Panel>
            <Panel
                title="Lowest stock"
                span="full"
                explanation="The identities with the fewest one-time keys. Addresses are shown as keyed hashes that change with every start of the server; SHADE_OBSERVER_SHOW_ADDRESSES=1 shows them in clear."
            >
                <LowestStock
                    rows={lowStock}
                    threshold={totals.lowThreshold}
                    now={serverTime(model, useNow())}
                />
            </Panel>
        </Section>
    );
}

function seriesOfSuite(suite: string): number {
    const index = suites.findIndex((known) => known === suite);
    return index === -1 ? 5 : index + 1;
}

function postQuantum(totals: Totals): number {
    return Object.entries(totals.identitiesBySuite)
        .filter(([suite]) => suite.startsWith('pqxdh'))
        .reduce((sum, [, value]) => sum + value, 0);
}

function perIdentity(keys: number, identities: number): string {
    return identities === 0 ? 'no identities' : `${(keys / identities).toFixed(1)} per identity`;
}

function StockChart(props: {
    model: Model;
    name: 'oneTimePreKeys' | 'kemOneTimePreKeys';
    label: string;
    colour: number;
    owners: number;
}) {
    const { model, name, label, colour } = props;
    const { history: known, totals } = model.state;
    const history = useCurrentHistory(known, serverTime(model, useNow()));
    const bins = useMemo(() => gather(history, 30 * minute, 15 * second), [history]);
    const series = useMemo<Series[]>(
        () => [{ key: name, label, colour, values: bins.values[name] }],
        [bins, name, label, colour],
    );
    return (
        <Chart
            label={`${label} in stock`}
            kind="lines"
            starts={bins.starts}
            series={series}
            windowMs={30 * minute}
            unit="keys"
            format={formatCount}
            emptyText="None in stock"
            height={172}
            fromZero={totals[name] === 0}
            wholeNumbers
            headline={{
                value: formatCount(totals[name]),
                unit: perIdentity(totals[name], props.owners),
            }}
            testId={`stock-${name}`}
        />
    );
}

const rowsAtFirst = 6;

function LowestStock(props: { rows: readonly LowStock[]; threshold: number; now: number }) {
    const [all, setAll] = useState(false);
    const shown = all ? props.rows : props.rows.slice(0, rowsAtFirst);
    if (props.rows.length === 0) {
        return <p class="empty">No identity is registered, so none is running low.</p>;
    }
    return (
        <>
            <table class="rows-table">
                <thead>
                    <tr>
                        <th scope="col">Identity</th>
                        <th scope="col">Suite</th>
                        <th scope="col">EC keys</th>
                        <th scope="col">KEM keys</th>
                        <th scope="col">Last fetched</th>
                        <th scope="col">Owner last seen</th>
                    </tr>
                </thead>
                <tbody>
                    {shown.map((row) => (
                        <StockRow
                            key={row.addressHash}
                            row={row}
                            threshold={props.threshold}
                            now={props.now}
                        />
                    ))}
                </tbody>
            </table>
            {props.rows.length > rowsAtFirst && (
                <button
                    type="button"
                    class="button"
                    aria-expanded={all}
                    onClick={() => setAll(!all)}
                >
                    {all
                        ? 'Show fewer'
                        : `Show all ${plural(props.rows.length, 'identity', 'identities')}`}
                </button>
            )}
        </>
    );
}

function StockRow(props: { row: LowStock; threshold: number; now: number }) {
    const { row, threshold, now } = props;
    return (
        <tr>
            <th scope="row">
                <code class="hash">{row.address ?? row.addressHash}</code>
            </th>
            <td data-label="Suite">{row.suite}</td>
            <td data-label="EC keys">
                <Level value={row.oneTimePreKeys} threshold={threshold} />
            </td>
            <td data-label="KEM keys">
                {row.suite.startsWith('pqxdh') ? (
                    <Level value={row.kemOneTimePreKeys} threshold={threshold} />
                ) : (
                    <span class="soft">not used</span>
                )}
            </td>
            <Moment label="Last fetched" at={row.lastFetchAt} now={now} />
            <Moment label="Owner last seen" at={row.lastOwnerActivityAt} now={now} />
        </tr>
    );
}

function Moment({ label, at, now }: { label: string; at: number | null; now: number }) {
    return (
        <td data-label={label} title={at === null ? undefined : formatFullTime(at)}>
            {ago(at, now)}
        </td>
    );
}

// The bar is full at twice the threshold; the word says what the colour says.
function Level({ value, threshold }: { value: number; threshold: number }) {
    const tone = value === 0 ? 'warning' : value < threshold ? 'notice' : 'good';
    const word = { warning: 'empty', notice: 'low', good: '' }[tone];
    const share = Math.min(1, value / Math.max(1, 2 * threshold));
    return (
        <span class="level" data-tone={tone}>
            <span class="level-value">{formatCount(value)}</span>
            <span class="level-track" aria-hidden="true">
                <span style={{ width: `${100 * share}%` }} />
            </span>
            <span class="level-word">{word}</span>
        </span>
    );
}
