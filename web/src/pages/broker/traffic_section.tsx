// What is sent and delivered, and what waits, over time.
import { useMemo } from 'preact/hooks';
import { useNow } from '../../console/clock.ts';
import { gather } from '../../live/history.ts';
import { Chart } from '../../ui/chart.tsx';
import type { Series } from '../../ui/chart_data.ts';
import { formatCount, second } from '../../ui/format.ts';
import { Panel, Section } from '../../ui/panel.tsx';
import { RateChart } from '../../ui/rate_chart.tsx';
import { useTimeSpan } from '../../ui/time_span.tsx';
import { useCurrentHistory } from '../../ui/use_history.ts';
import { type Model, serverTime } from './model.ts';

const spans = [
    { value: '5', label: '5 min', rateBin: 5 * second, gaugeBin: 5 * second },
    { value: '15', label: '15 min', rateBin: 15 * second, gaugeBin: 10 * second },
    { value: '30', label: '30 min', rateBin: 30 * second, gaugeBin: 15 * second },
] as const;

export function TrafficSection({ model }: { model: Model }) {
    const { span, windowMs, control } = useTimeSpan(spans, spans[0]);
    const { figures } = model.state;
    const history = useCurrentHistory(model.state.history, serverTime(model, useNow()));
    const rates = useMemo(
        () => gather(history, windowMs, span.rateBin, true),
        [history, windowMs, span],
    );
    const levels = useMemo(
        () => gather(history, windowMs, span.gaugeBin),
        [history, windowMs, span],
    );
    const rate = { history, bins: rates, windowMs };
    return (
        <Section id="traffic" title="Traffic" aside={control}>
            <Panel
                title="Envelopes"
                span="wide"
                explanation="Deliveries are pushes to peers: one envelope to many counts once for each. Arrived are those that the peer has taken: acknowledged, or read from its connection. Rejected were refused, for any reason. The large figures are averages of the last minute."
            >
                <RateChart
                    {...rate}
                    label="Deliveries"
                    colour={1}
                    name="pushed"
                    height={150}
                    emptyText="No deliveries in this time"
                />
                <div class="pair">
                    <RateChart
                        {...rate}
                        label="Arrived"
                        colour={2}
                        name="settled"
                        height={96}
                        emptyText="None in this time"
                    />
                    <RateChart
                        {...rate}
                        label="Rejected"
                        colour={5}
                        name="rejected"
                        height={96}
                        emptyText="None in this time"
                    />
                </div>
            </Panel>
            <Panel
                title="Queue and peers"
                span="narrow"
                explanation="Waiting are envelopes that have not arrived at their receiver: it is away, its status lets nothing through, or it is slower than what is sent to it."
            >
                <GaugeChart
                    label="Waiting"
                    unit="envelopes"
                    colour={4}
                    values={levels.values.queueDepth}
                    starts={levels.starts}
                    now={figures.queueDepth}
                    windowMs={windowMs}
                    height={150}
                    emptyText="Nothing waits"
                    testId="chart-depth"
                />
                <GaugeChart
                    label="Peers"
                    unit="connected"
                    colour={3}
                    values={levels.values.connected}
                    starts={levels.starts}
                    now={figures.connected}
                    windowMs={windowMs}
                    height={96}
                    emptyText="Nobody was connected"
                    testId="chart-connected"
                />
            </Panel>
        </Section>
    );
}

function GaugeChart(props: {
    label: string;
    unit: string;
    colour: number;
    values: readonly (number | null)[];
    starts: readonly number[];
    now: number;
    windowMs: number;
    height: number;
    emptyText: string;
    testId: string;
}) {
    const { label, colour, values } = props;
    const series = useMemo<Series[]>(
        () => [{ key: label, label, colour, values }],
        [label, colour, values],
    );
    return (
        <Chart
            label={`${label} over time`}
            kind="lines"
            starts={props.starts}
            series={series}
            windowMs={props.windowMs}
            unit={props.unit}
            format={formatCount}
            emptyText={props.emptyText}
            height={props.height}
            wholeNumbers
            headline={{ value: formatCount(props.now), unit: props.unit }}
            testId={props.testId}
        />
    );
}
