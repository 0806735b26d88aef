// What is done where the server refuses: a session that ended leads to the login, by loading the
// page anew; where there is too much to do, the same is asked again after the time the server said.
(() => {
  const MOST_TIMES = 3;
  const fetched = window.fetch;
  let leaving = false;
  window.fetch = async (...asked) => {
    for (let n = 0; ; n += 1) {
      const answer = await fetched(...asked);
      const seconds = n < MOST_TIMES ? answer.headers.get("retry-after") : null;
      if (![429, 503].includes(answer.status) || !seconds) {
        if (answer.status === 401 && !leaving) {
          leaving = true;
          window.location.reload();
        }
        return answer;
      }
      // Up to twice as long, so that not all come again at once.
      const wait = Number(seconds) * 1000 * (1 + Math.random());
      await new Promise((later) => { setTimeout(later, wait); });
    }
  };
})();
