// What is done where the server refuses: a session that ended leads to the login, by loading the
// page anew; where there is too much to do, the request is sent again after the time that the
// server names.
(() => {
  const MOST_TIMES = 3;
  const fetchOnce = window.fetch;
  let isLeaving = false;
  window.fetch = async (...request) => {
    for (let n = 0; ; n += 1) {
      const answer = await fetchOnce(...request);
      const seconds = n < MOST_TIMES ? answer.headers.get("retry-after") : null;
      if (![429, 503].includes(answer.status) || !seconds) {
        if (answer.status === 401 && !isLeaving) {
          isLeaving = true;
          window.location.reload();
        }
        return answer;
      }
      // Up to twice as long, so that not all come again at once.
      const wait = Number(seconds) * 1000 * (1 + Math.random());
      await new Promise((go) => { setTimeout(go, wait); });
    }
  };
})();
