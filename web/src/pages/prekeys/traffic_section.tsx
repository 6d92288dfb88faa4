// What is asked of the server, and what it gave.
import { useMemo } from 'preact/hooks';
import { useNow } from '../../console/clock.ts';
import { type Bins, type History, gather, sumOver } from '../../live/history.ts';
import { Chart } from '../../ui/chart.tsx';
import type { Series } from '../../ui/chart_data.ts';
import { formatCount, formatPercent, second } from '../../ui/format.ts';
import { Figure, Figures, Panel, Section } from '../../ui/panel.tsx';
import { RateChart } from '../../ui/rate_chart.tsx';
import { useTimeSpan } from '../../ui/time_span.tsx';
import { useCurrentHistory } from '../../ui/use_history.ts';
import type { SeriesName } from './api.ts';
import { type Model, serverTime } from './model.ts';

const spans = [
    { value: '5', label: '5 min', lineBin: 10 * second, barBin: 10 * second },
    { value: '15', label: '15 min', lineBin: 20 * second, barBin: 30 * second },
    { value: '30', label: '30 min', lineBin: 30 * second, barBin: 60 * second },
] as const;

export function TrafficSection({ model }: { model: Model }) {
    const { span, windowMs, control } = useTimeSpan(spans, spans[2]);
    const history = useCurrentHistory(model.state.history, serverTime(model, useNow()));
    const rates = useMemo(
        () => gather(history, windowMs, span.lineBin, true),
        [history, windowMs, span],
    );
    const outcomes = useMemo(
        () => gather(history, windowMs, span.barBin),
        [history, windowMs, span],
    );
    return (
        <Section id="traffic" title="Traffic" aside={control}>
            <Panel
                title="Requests"
                span="wide"
                explanation="How often bundles are fetched, identities register or update, and requests are turned away by a rate limit. The large figures are averages of the last minute; they and the charts cover the last half hour that the server remembers."
            >
                <RateChart
                    label="Fetches"
                    colour={1}
                    name="fetches"
                    history={history}
                    bins={rates}
                    windowMs={windowMs}
                    height={150}
                    emptyText="No fetches in this time"
                />
                <div class="pair">
                    <RateChart
                        label="Registrations"
                        colour={2}
                        name="registrations"
                        history={history}
                        bins={rates}
                        windowMs={windowMs}
                        height={96}
                        emptyText="None in this time"
                    />
                    <RateChart
                        label="Rate limited"
                        colour={3}
                        name="rateLimited"
                        history={history}
                        bins={rates}
                        windowMs={windowMs}
                        height={96}
                        emptyText="None in this time"
                    />
                </div>
            </Panel>
            <Panel
                title="Bundles by outcome"
                span="narrow"
                explanation="Every bundle carries the signed prekey. Issued: with a one-time key as well. Withheld: a key was kept back because the target's budget was used up or the stock is in its reserve. None left: the stock was empty. Without a one-time key the first message has weaker forward secrecy."
            >
                <OutcomeFigures model={model} history={history} windowMs={windowMs} />
                <OutcomeChart bins={outcomes} windowMs={windowMs} />
            </Panel>
        </Section>
    );
}

function OutcomeFigures(props: { model: Model; history: History<SeriesName>; windowMs: number }) {
    const { counters } = props.model.state;
    const [issued, withheld, exhausted] = (['issued', 'withheld', 'exhausted'] as const).map(
        (name) => sumOver(props.history, name, props.windowMs),
    ) as [number, number, number];
    const whole = issued + withheld + exhausted;
    return (
        <Figures>
            <Figure
                label="Issued"
                value={formatPercent(issued, whole)}
                unit={`${formatCount(counters.issued)} since start`}
                testId="outcome-issued"
            />
            <Figure
                label="Withheld"
                value={formatPercent(withheld, whole)}
                unit={`${formatCount(counters.withheld)} since start`}
                tone={withheld > whole / 5 ? 'warning' : 'plain'}
                testId="outcome-withheld"
            />
            <Figure
                label="None left"
                value={formatPercent(exhausted, whole)}
                unit={`${formatCount(counters.exhausted)} since start`}
                tone={exhausted > whole / 100 ? 'warning' : 'plain'}
                testId="outcome-exhausted"
            />
        </Figures>
    );
}

function OutcomeChart({ bins, windowMs }: { bins: Bins<SeriesName>; windowMs: number }) {
    const series = useMemo<Series[]>(
        () => [
            { key: 'issued', label: 'Issued', colour: 1, values: bins.values.issued },
            { key: 'withheld', label: 'Withheld', colour: 4, values: bins.values.withheld },
            { key: 'exhausted', label: 'None left', colour: 5, values: bins.values.exhausted },
        ],
        [bins],
    );
    return (
        <Chart
            label="Bundles by outcome"
            kind="stacked"
            starts={bins.starts}
            series={series}
            windowMs={windowMs}
            unit={`per ${bins.binMs / second} s`}
            format={formatCount}
            emptyText="No bundles in this time"
            wholeNumbers
            height={286}
        />
    );
}
