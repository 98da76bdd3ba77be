// Two clocks. The age of a date is by this master's clock, which each event "beat" carries. The age
// of something that the script saw is by performance.now(): no correction of the clock changes it.

let skew = 0; // this master's clock minus the browser's, in ms

export const now = () => Date.now() + skew;
export const beat = (ms) => { skew = ms - Date.now(); };

// since is how long ago the script saw something, in ms.
export const since = (seen) => performance.now() - seen;

export function span(s) {
  s = Math.max(0, s);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60 % 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600 % 24)} h`;
}

export const ago = (time) => span((now() - new Date(time).getTime()) / 1000);
