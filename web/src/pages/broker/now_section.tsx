// The figures an operator looks at first.
import { useNow } from '../../console/clock.ts';
import { ratePerSecond } from '../../live/history.ts';
import { formatCount, formatDuration, formatRate, plural, second } from '../../ui/format.ts';
import { Figure, Figures, Section } from '../../ui/panel.tsx';
import { useCurrentHistory } from '../../ui/use_history.ts';
import { type Model, serverTime } from './model.ts';

const rateOverMs = 10 * second;

export function NowSection({ model }: { model: Model }) {
    const { figures, peers, history: known } = model.state;
    const now = serverTime(model, useNow());
    const history = useCurrentHistory(known, now);
    const pushed = formatRate(ratePerSecond(history, 'pushed', rateOverMs));
    const settled = formatRate(ratePerSecond(history, 'settled', rateOverMs));
    const slow = peers.filter((peer) => peer.slow).length;
    return (
        <Section id="now" title="Now">
            <div class="panel span-full">
                <Figures>
                    <Figure
                        label="Peers"
                        value={formatCount(figures.connected)}
                        unit={
                            figures.leased > 0
                                ? `${formatCount(figures.leased)} away`
                                : plural(figures.meshes, 'mesh', 'meshes')
                        }
                        explanation="Connections: one member may have several. Away are those that lost theirs and may still come back to their place."
                        testId="connected"
                    />
                    <Figure
                        label="Deliveries"
                        value={pushed.value}
                        unit={pushed.unit}
                        explanation="Pushes to peers; an envelope to many counts once for each. Average of the last ten seconds."
                        testId="deliveries"
                    />
                    <Figure
                        label="Arrived"
                        value={settled.value}
                        unit={settled.unit}
                        explanation="Deliveries that their peers have taken: acknowledged, or read from the connection. Average of the last ten seconds."
                        testId="arrived"
                    />
                    <Figure
                        label="Waiting"
                        value={formatCount(figures.queueDepth)}
                        unit={figures.queueDepth === 1 ? 'envelope' : 'envelopes'}
                        explanation="Envelopes that were acknowledged to their sender and have not arrived; one to many counts once for each receiver."
                        testId="depth"
                    />
                    <Figure
                        label="Oldest waits"
                        value={
                            figures.oldestAt === null
                                ? '–'
                                : formatDuration(now - figures.oldestAt)
                        }
                        unit={figures.oldestAt === null ? 'nothing waits' : 'since accepted'}
                        explanation="How long the oldest of them waits for its receiver."
                        testId="oldest"
                    />
                    <Figure
                        label="Slow peers"
                        value={formatCount(slow)}
                        unit={slow === 0 ? 'all keep up' : 'pushes unanswered'}
                        tone={slow > 0 ? 'warning' : 'plain'}
                        explanation="Peers that do not take what is pushed to them: too much is unanswered or buffered, or one push for ten seconds."
                        testId="slow"
                    />
                    <Figure
                        label="Storing"
                        value={formatCount(figures.storing)}
                        unit={figures.storing === 1 ? 'send' : 'sends'}
                        explanation="Sends that wait for the database. They are acknowledged when they are stored."
                        testId="storing"
                    />
                </Figures>
            </div>
        </Section>
    );
}
