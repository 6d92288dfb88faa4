// Nave beside its peers, in one run: scripts/bench [http|prekeys|broker|process ...]
// The machine should be quiet; ratios within a run say more than numbers of different runs.
import { brokerParts, measureBroker } from './broker/measure.mjs';
import { measureHttp } from './http/measure.mjs';
import { measurePrekeys } from './prekeys/measure.mjs';
import { measureProcess } from './process/measure.mjs';

const kParts = {
    http: measureHttp,
    prekeys: measurePrekeys,
    broker: measureBroker,
    process: measureProcess,
};
// Taken alone, for a machine that is quiet only for a while.
const kAlone = brokerParts;
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in kParts) && !(name in kAlone));
if (unknown.length > 0) {
    console.error(`usage: scripts/bench [${Object.keys({ ...kParts, ...kAlone }).join('|')} ...]`);
    process.exit(2);
}
for (const name of wanted.length > 0 ? wanted : Object.keys(kParts)) {
    await (kParts[name] ?? kAlone[name])();
}
