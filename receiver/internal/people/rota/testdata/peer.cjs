// Reads {"rule": "DTSTART…\nRRULE…", "from": ms, "to": ms} a line, and writes the occurrences that
// rrule-temporal finds from one to the other, as seconds since 1970, a JSON list a line.
const { Temporal } = require("temporal-polyfill");
globalThis.Temporal = Temporal;
const { RRuleTemporal } = require("rrule-temporal");

for (const line of require("fs").readFileSync(0, "utf8").split("\n")) {
  if (!line) continue;
  const { rule, from, to } = JSON.parse(line);
  let found;
  try {
    const parsed = new RRuleTemporal({ rruleString: rule, maxIterations: 100000, maxCandidateEvaluations: 10000000 });
    found = parsed.between(new Date(from), new Date(to), true).map((at) => at.epochMilliseconds / 1000);
  } catch (err) {
    found = String(err);
  }
  console.log(JSON.stringify(found));
}
