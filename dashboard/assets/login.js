// A session that ended while a page was open: the page is loaded anew, which leads to the login.
(() => {
  const fetched = window.fetch;
  let leaving = false;
  window.fetch = async (...asked) => {
    const answer = await fetched(...asked);
    if (answer.status === 401 && !leaving) {
      leaving = true;
      window.location.reload();
    }
    return answer;
  };
})();
